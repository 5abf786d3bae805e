// What runs inside the browser: autobahn-js in its browser build, against the router, with each serializer.
// `window.scenarios` maps names to async functions; the driver calls them one by one.

const { autobahn } = window;
autobahn.log.warn = () => {};

const SERIALIZERS = {
    json: () => new autobahn.serializer.JSONSerializer(),
    msgpack: () => new autobahn.serializer.MsgpackSerializer(),
    cbor: () => new autobahn.serializer.CBORSerializer(),
};

function open({ url, realm, serializer }, options = {}) {
    return new Promise((resolve, reject) => {
        const connection = new autobahn.Connection({
            url,
            realm,
            serializers: [SERIALIZERS[serializer]()],
            max_retries: 0,
            retry_if_unreachable: false,
            on_user_error: () => {},
            ...options,
        });
        connection.onopen = (session, details) => resolve({ connection, session, details });
        connection.onclose = (reason, details) => {
            reject(new Error(details.reason ?? reason));
            return true;
        };
        connection.open();
    });
}

function same(actual, expected) {
    const [got, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
    if (got !== wanted) throw new Error(`${got} is not ${wanted}`);
}

async function eventsArrive(router) {
    const [alice, bob] = [await open(router), await open(router)];
    const heard = [];
    const done = new Promise((resolve) => {
        const handler = (args, kwargs, details) => {
            if (args[0] === 'fence') resolve();
            else heard.push([args, kwargs, details.topic]);
        };
        bob.session.subscribe(router.uri, handler, { match: 'prefix' }).then(async () => {
            const publish = (topic, args, kwargs) =>
                alice.session.publish(topic, args, kwargs, { acknowledge: true });
            await publish(`${router.uri}.a`, [1, 'ü😀', [1.5, null]], { colour: 'red' });
            await publish('com.example.elsewhere', [2]);
            await publish(router.uri, ['fence']);
        });
    });
    await done;
    same(heard, [[[1, 'ü😀', [1.5, null]], { colour: 'red' }, `${router.uri}.a`]]);
}

async function binaryArrives(router) {
    if (router.serializer === 'json') return;
    const { session } = await open(router);
    await session.register(router.uri, ([bytes]) => bytes);
    const answer = await session.call(router.uri, [Uint8Array.of(0, 1, 255)]);
    same([...answer], [0, 1, 255]);
}

async function callsAreAnswered(router) {
    const [caller, callee] = [await open(router), await open(router)];
    await callee.session.register(router.uri, (args, kwargs) => new autobahn.Result(args, kwargs));
    const result = await caller.session.call(router.uri, [1, 'ü😀', { deep: [null, true] }], { colour: 'red' });
    same([result.args, result.kwargs], [[1, 'ü😀', { deep: [null, true] }], { colour: 'red' }]);
    await callee.session.register(`${router.uri}.break`, () => {
        throw new autobahn.Error('com.example.error.broken', ['pieces'], { colour: 'red' });
    });
    const error = await caller.session.call(`${router.uri}.break`).then(
        () => Promise.reject(new Error('no error came')),
        (reason) => reason,
    );
    same([error.error, error.args, error.kwargs], ['com.example.error.broken', ['pieces'], { colour: 'red' }]);
}

async function progressArrives(router) {
    // The driver has registered this procedure.
    const caller = await open(router);
    const heard = [];
    const result = await new Promise((resolve, reject) => {
        caller.session
            .call(router.count, [3], {}, { receive_progress: true })
            .then(resolve, reject, (progress) => heard.push(progress));
    });
    same([heard, result], [[0, 1, 2], 'done']);
}

async function wampcraIsProved(router) {
    const prove = (secret) => ({
        authmethods: ['wampcra'],
        authid: secret.authid,
        onchallenge: (_session, _method, extra) => {
            const { sign, derive_key } = autobahn.auth_cra;
            const key = extra.salt
                ? derive_key(secret.text, extra.salt, extra.iterations, extra.keylen)
                : secret.text;
            return sign(key, extra.challenge);
        },
    });
    for (const secret of [
        { authid: 'peter', text: 'secret1' },
        { authid: 'petra', text: 'secret123' },
    ]) {
        const { session, details } = await open(router, prove(secret));
        same([details.authid, details.authrole, details.authmethod], [secret.authid, 'user', 'wampcra']);
        same((await session.call('wamp.session.count')) >= 1, true);
    }
    const reason = await open(router, prove({ authid: 'peter', text: 'guess' })).then(
        () => 'let in',
        (error) => error.message,
    );
    same(reason, 'wamp.error.authentication_failed');
}

async function largeMessagesArrive(router) {
    const { session } = await open(router);
    await session.register(router.uri, ([text]) => text);
    const text = 'abcdefghij'.repeat(60_000);
    same((await session.call(router.uri, [text])).length, text.length);
}

window.scenarios = {
    eventsArrive,
    callsAreAnswered,
    binaryArrives,
    progressArrives,
    wampcraIsProved,
    largeMessagesArrive,
};
