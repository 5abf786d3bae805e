// `ws` of Node with every offer of permessage-deflate that it can make: joins, subscribes, publishes to itself, small and large,
// and leaves, over one connection. Prints `ok NAME` or `FAIL NAME: why` for each.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.env.TEST_CLIENTS, 'node/'));
const { WebSocket } = require('ws');
const cbor = require('cbor');

const url = process.argv[2];
const roles = { roles: { publisher: {}, subscriber: {} } };
const coders = {
    json: [(message) => JSON.stringify(message), (data) => JSON.parse(data.toString())],
    cbor: [(message) => cbor.encodeOne(message, { highWaterMark: 1 << 24 }), (data) => cbor.decodeFirstSync(data)],
};
const noise = Array.from({ length: 60_000 }, (_, n) => ((n * 2654435761) % 4294967296).toString(16)).join('');
const texts = ['', 'a', 'tell me '.repeat(4000), noise, 'tell me '.repeat(4000), 'z'.repeat(500_000)];

// Each window that zlib can have at both ends and in the middle, and who forgets.
const offers = [false, {}];
for (const bits of [9, 12, 15]) {
    offers.push({ serverMaxWindowBits: bits }, { clientMaxWindowBits: bits }, { serverMaxWindowBits: bits, clientMaxWindowBits: bits });
}
offers.push({ serverNoContextTakeover: true }, { clientNoContextTakeover: true });
offers.push({ serverNoContextTakeover: true, clientNoContextTakeover: true });

// Messages of a connection, one after the other; it fails when the connection does.
async function* messages(socket) {
    const waiting = [];
    let wake = () => {};
    const tell = (what) => {
        waiting.push(what);
        wake();
    };
    socket.on('message', (data) => tell({ data }));
    socket.on('error', (error) => tell({ error }));
    socket.on('close', (code) => tell({ error: new Error(`closed with ${code}`) }));
    for (;;) {
        while (waiting.length > 0) {
            const { data, error } = waiting.shift();
            if (error) throw error;
            yield data;
        }
        await new Promise((resolve) => (wake = resolve));
    }
}

async function play(offer, serializer) {
    const [encode, decode] = coders[serializer];
    const perMessageDeflate = offer && { threshold: 0, ...offer };
    const socket = new WebSocket(url, [`wamp.2.${serializer}`], { perMessageDeflate });
    const incoming = messages(socket);
    const receive = async () => decode((await incoming.next()).value);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    assert.equal(socket.protocol, `wamp.2.${serializer}`);
    assert.equal(socket.extensions.includes('permessage-deflate'), offer !== false);
    const ask = (message) => {
        socket.send(encode(message));
        return receive();
    };
    const [welcome, session] = await ask([1, 'realm1', roles]);
    assert.equal(welcome, 2);
    const topic = `com.example.deflate.node.${session}`;
    const [subscribed, , subscription] = await ask([32, 1, {}, topic]);
    assert.equal(subscribed, 33);
    for (const [number, text] of texts.entries()) {
        const event = await ask([16, number + 2, { exclude_me: false }, topic, [text], { again: text }]);
        assert.equal(event[0], 36);
        assert.equal(event[1], subscription);
        assert.deepEqual(event.slice(4), [[text], { again: text }]);
    }
    assert.equal((await ask([6, {}, 'wamp.close.normal']))[0], 6);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.close(1000);
    assert.equal(await closed, 1000);
}

let failures = 0;
for (const offer of offers) {
    for (const serializer of Object.keys(coders)) {
        const name = `${offer ? JSON.stringify(offer) : 'no offer'} [${serializer}]`;
        try {
            await play(offer, serializer);
            console.log(`ok ${name}`);
        } catch (error) {
            failures += 1;
            console.log(`FAIL ${name}: ${String(error.message).replaceAll('\n', ' ')}`);
        }
    }
}
process.exit(failures === 0 ? 0 : 1);
