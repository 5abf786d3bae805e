// The far end of tests/clients/python/payload.py: a client that sends back what it gets, until its standard input ends.

import { parseArgs } from 'node:util';
import { autobahn, Router } from './support.mjs';

const { values: options } = parseArgs({
    options: {
        library: { type: 'string' },
        serializer: { type: 'string' },
        url: { type: 'string' },
        realm: { type: 'string' },
        uri: { type: 'string' },
    },
});
const router = new Router(options.url, options.realm, options.serializer, 'echo');

const ends = {
    async autobahn() {
        const session = await router.autobahn();
        await session.register(`${options.uri}.call`, (args, kwargs) => new autobahn.Result(args, kwargs));
        await session.register(`${options.uri}.json`, (args) => JSON.stringify(args[0]));
        await session.register(`${options.uri}.break`, (args, kwargs) => {
            throw new autobahn.Error('com.example.error.echo', args, kwargs);
        });
        await session.subscribe(`${options.uri}.event`, (args, kwargs) => {
            session.publish(`${options.uri}.back`, args, kwargs);
        });
    },

    async wampy() {
        const wampy = await router.wampy();
        await wampy.register(`${options.uri}.call`, ({ argsList, argsDict }) => ({ argsList, argsDict }));
        await wampy.register(`${options.uri}.json`, ({ argsList }) => ({ argsList: [JSON.stringify(argsList[0])] }));
        await wampy.register(`${options.uri}.break`, ({ argsList, argsDict }) => {
            throw { error: 'com.example.error.echo', argsList, argsDict };
        });
        await wampy.subscribe(`${options.uri}.event`, ({ argsList, argsDict }) => {
            wampy.publish(`${options.uri}.back`, { argsList, argsDict });
        });
    },
};

await ends[options.library]();
console.log('ready');
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
