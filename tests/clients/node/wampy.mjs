// wampy.js in Node: publish and subscribe, calls, progress, cancel, payload passthru, meta API and every way to come
// in.
//
// wampy sends options that are not set as `undefined`, and (in CBOR and MessagePack) integers beyond 32 bits as floats;
// the router has to live with both.

import { Inbox, assert, deferred, load, main, offerCount, patiently, rejected } from './support.mjs';

const wampyCra = await load('wampy/wampcra.js');
const wampyCryptosign = await load('wampy/cryptosign.js');

async function subscribe(wampy, topic, options) {
    const inbox = new Inbox();
    const handler = ({ argsList, argsDict, details }) => inbox.put({ args: argsList, kwargs: argsDict, details });
    Object.assign(inbox, await patiently(wampy.subscribe(topic, handler, options)));
    return inbox;
}

const publish = (wampy, topic, args, options) => patiently(wampy.publish(topic, { argsList: args }, options));
const call = (wampy, procedure, args, options) => patiently(wampy.call(procedure, { argsList: args }, options));
const ask = async (wampy, procedure, ...args) => (await call(wampy, procedure, args)).argsList[0];

async function eventArrivesWhole(router) {
    const [alice, bob] = [await router.wampy(), await router.wampy()];
    const inbox = await subscribe(bob, router.uri('topic'));
    const payload = { argsList: [1, 'two', [3]], argsDict: { colour: 'red' } };
    const { publicationId } = await patiently(alice.publish(router.uri('topic'), payload));
    const event = await inbox.take();
    assert.deepEqual(event.args, [1, 'two', [3]]);
    assert.deepEqual(event.kwargs, { colour: 'red' });
    assert.ok(publicationId >= 1 && publicationId <= 2 ** 53);
}

async function eventsKeepTheirOrder(router) {
    const [alice, bob] = [await router.wampy(), await router.wampy()];
    const inbox = await subscribe(bob, router.uri('topic'));
    const numbers = Array.from({ length: 200 }, (_, number) => number);
    await Promise.all(numbers.map((number) => publish(alice, router.uri('topic'), [number])));
    await publish(alice, router.uri('topic'), ['fence']);
    assert.deepEqual((await inbox.until('fence')).map((event) => event.args[0]), numbers);
}

async function patterns(router) {
    const [alice, bob] = [await router.wampy(), await router.wampy()];
    const exact = await subscribe(bob, router.uri('house'), { match: 'exact' });
    const prefix = await subscribe(bob, router.uri('house'), { match: 'prefix' });
    const wildcard = await subscribe(bob, router.uri('house..lamp'), { match: 'wildcard' });
    for (const topic of ['house', 'house.1.lamp', 'houseboat', 'garden']) {
        await publish(alice, router.uri(topic), [topic]);
    }
    await publish(alice, router.uri('house.9.lamp'), ['fence']);
    await publish(alice, router.uri('house'), ['fence']);
    const topics = async (inbox) => (await inbox.until('fence')).map((event) => event.args[0]);
    assert.deepEqual(await topics(exact), ['house']);
    assert.deepEqual(await topics(prefix), ['house', 'house.1.lamp', 'houseboat']);
    assert.deepEqual(await topics(wildcard), ['house.1.lamp']);
}

async function publisherIsExcludedUnlessItAsks(router) {
    const alice = await router.wampy();
    const inbox = await subscribe(alice, router.uri('topic'));
    const other = await router.wampy();
    await publish(alice, router.uri('topic'), ['not to me']);
    await publish(other, router.uri('topic'), ['fence']);
    assert.deepEqual(await inbox.until('fence'), []);
}

async function receiversAreChosen(router) {
    const [alice, bob, carol] = [await router.wampy(), await router.wampy(), await router.wampy()];
    const inboxes = [await subscribe(bob, router.uri('topic')), await subscribe(carol, router.uri('topic'))];
    const heardBy = async (options) => {
        await publish(alice, router.uri('topic'), ['maybe'], options);
        await publish(alice, router.uri('topic'), ['fence']);
        return Promise.all(inboxes.map(async (inbox) => (await inbox.until('fence')).length));
    };
    assert.deepEqual(await heardBy({ eligible: [bob.getSessionId()] }), [1, 0]);
    assert.deepEqual(await heardBy({ exclude: [bob.getSessionId()] }), [0, 1]);
    assert.deepEqual(await heardBy({ eligible_authid: carol.welcome.authid }), [0, 1]);
    assert.deepEqual(await heardBy({ exclude_authid: [carol.welcome.authid] }), [1, 0]);
    assert.deepEqual(await heardBy({ eligible_authrole: 'nobody' }), [0, 0]);
    assert.deepEqual(await heardBy({ exclude_authrole: 'nobody' }), [1, 1]);
}

async function unsubscribedHearsNothing(router) {
    const [alice, bob] = [await router.wampy(), await router.wampy()];
    const inbox = await subscribe(bob, router.uri('topic'));
    const fence = await subscribe(bob, router.uri('fence'));
    await publish(alice, router.uri('topic'), ['heard']);
    assert.deepEqual((await inbox.take()).args, ['heard']);
    await patiently(bob.unsubscribe(inbox.subscriptionId));
    await publish(alice, router.uri('topic'), ['unheard']);
    await publish(alice, router.uri('fence'), ['fence']);
    assert.deepEqual(await fence.until('fence'), []);
}

async function resultArrivesWhole(router) {
    const [caller, callee] = [await router.wampy(), await router.wampy()];
    const seen = [];
    await patiently(
        callee.register(router.uri('echo'), ({ argsList, argsDict }) => {
            seen.push([argsList, argsDict]);
            return { argsList, argsDict };
        }),
    );
    const payload = { argsList: [1, 'two', [3]], argsDict: { colour: 'red' } };
    const { argsList, argsDict } = await patiently(caller.call(router.uri('echo'), payload));
    assert.deepEqual(seen, [[[1, 'two', [3]], { colour: 'red' }]]);
    assert.deepEqual([argsList, argsDict], [[1, 'two', [3]], { colour: 'red' }]);
}

async function errorsArriveWhole(router) {
    const [caller, callee] = [await router.wampy(), await router.wampy()];
    await patiently(
        callee.register(router.uri('break'), () => {
            throw { error: 'com.example.error.broken', argsList: ['pieces', 3], argsDict: { colour: 'red' } };
        }),
    );
    const broken = await rejected(caller.call(router.uri('break')));
    assert.equal(broken.errorUri, 'com.example.error.broken');
    assert.deepEqual([broken.argsList, broken.argsDict], [['pieces', 3], { colour: 'red' }]);
    assert.equal((await rejected(caller.call(router.uri('nowhere')))).errorUri, 'wamp.error.no_such_procedure');
    assert.equal(
        (await rejected(caller.register(router.uri('break'), () => 1))).errorUri,
        'wamp.error.procedure_already_exists',
    );
}

async function callsAtOnce(router) {
    const [caller, callee] = [await router.wampy(), await router.wampy()];
    await patiently(callee.register(router.uri('square'), ({ argsList: [n] }) => ({ argsList: [n * n] })));
    const numbers = Array.from({ length: 100 }, (_, number) => number);
    const answers = await Promise.all(numbers.map((number) => ask(caller, router.uri('square'), number)));
    assert.deepEqual(answers, numbers.map((number) => number * number));
}

async function progressiveResults(router) {
    const [caller, callee] = [await router.wampy(), await router.wampy()];
    await patiently(offerCount(callee, router.uri('count')));
    const heard = [];
    const result = await call(caller, router.uri('count'), [3], {
        progress_callback: ({ argsList }) => heard.push(argsList[0]),
    });
    assert.deepEqual(result.argsList, ['done']);
    assert.deepEqual(heard, [0, 1, 2]);
}

async function patternRegistrations(router) {
    const [caller, callee] = [await router.wampy(), await router.wampy()];
    const offer = (name, uri, options) =>
        patiently(callee.register(router.uri(uri), () => ({ argsList: [name] }), options));
    await offer('exact', 'a.b.c', { match: 'exact' });
    await offer('prefix', 'a.b', { match: 'prefix' });
    await offer('wildcard', 'a..c', { match: 'wildcard' });
    assert.equal(await ask(caller, router.uri('a.b.c')), 'exact');
    assert.equal(await ask(caller, router.uri('a.b.x')), 'prefix');
    assert.equal(await ask(caller, router.uri('a.x.c')), 'wildcard');
}

async function sharedRegistration(router) {
    const caller = await router.wampy();
    for (const name of ['a', 'b', 'c']) {
        const callee = await router.wampy();
        await patiently(callee.register(router.uri('who'), () => ({ argsList: [name] }), { invoke: 'roundrobin' }));
    }
    const answers = [];
    for (let turn = 0; turn < 6; turn += 1) answers.push(await ask(caller, router.uri('who')));
    assert.deepEqual([...answers].sort(), ['a', 'a', 'b', 'b', 'c', 'c']);
    assert.deepEqual(answers.slice(0, 3), answers.slice(3));
}

async function unregisteredIsGone(router) {
    const [caller, callee] = [await router.wampy(), await router.wampy()];
    await patiently(callee.register(router.uri('brief'), () => ({ argsList: [1] })));
    await patiently(callee.unregister(router.uri('brief')));
    assert.equal((await rejected(caller.call(router.uri('brief')))).errorUri, 'wamp.error.no_such_procedure');
}

async function callIsCancelled(router) {
    for (const mode of ['skip', 'kill', 'killnowait']) {
        const [caller, callee] = [await router.wampy(), await router.wampy()];
        const [begun, release] = [deferred(), deferred()];
        await patiently(
            callee.register(router.uri(mode), () => {
                begun.resolve();
                return release.promise;
            }),
        );
        const answer = rejected(caller.call(router.uri(mode)));
        await patiently(begun.promise);
        caller.cancel(caller.getOpStatus().reqId, { mode });
        // wampy's callees cannot be interrupted, so the router answers for them in every mode.
        assert.equal((await answer).errorUri, 'wamp.error.canceled', mode);
        release.resolve({ argsList: ['late'] });
        await patiently(callee.register(router.uri(`${mode}.still`), () => ({ argsList: ['works'] })));
        assert.equal(await ask(caller, router.uri(`${mode}.still`)), 'works');
    }
}

async function callTimesOut(router) {
    const [caller, callee] = [await router.wampy(), await router.wampy()];
    const release = deferred();
    await patiently(callee.register(router.uri('slow'), () => release.promise));
    const answer = await rejected(caller.call(router.uri('slow'), null, { timeout: 50 }));
    assert.equal(answer.errorUri, 'wamp.error.timeout');
    release.resolve({ argsList: ['late'] });
    await patiently(callee.register(router.uri('still'), () => ({ argsList: ['works'] })));
    assert.equal(await ask(caller, router.uri('still')), 'works');
}

async function callerIsDisclosedWhenItWants(router) {
    const [caller, callee] = [await router.wampy(), await router.wampy()];
    const uri = `com.example.disclosed.${router.name}.${router.serializer}`;
    await patiently(callee.register(uri, ({ details }) => ({ argsList: [details.caller] })));
    assert.equal(Number(await ask(caller, uri)), Number(caller.getSessionId()));
}

async function payloadPassthru(router) {
    const [alice, bob] = [await router.wampy(), await router.wampy()];
    // wampy has no bytes in JSON, so there the payload has to be text.
    const serializer = router.serializer === 'json' ? 'json' : 'cbor';
    const options = { ppt_scheme: 'x_custom', ppt_serializer: serializer };
    const inbox = await subscribe(bob, router.uri('topic'));
    const payload = { argsList: [1, { secret: 'kept' }], argsDict: { colour: 'red' } };
    await patiently(alice.publish(router.uri('topic'), payload, options));
    const event = await inbox.take();
    assert.deepEqual([event.args, event.kwargs], [payload.argsList, payload.argsDict]);
    assert.equal(event.details.ppt_scheme, 'x_custom');
    await patiently(bob.register(router.uri('echo'), ({ argsList, argsDict }) => ({ argsList, argsDict, options })));
    const result = await patiently(alice.call(router.uri('echo'), payload, options));
    assert.deepEqual([result.argsList, result.argsDict], [payload.argsList, payload.argsDict]);
}

async function metaApi(router) {
    const [alice, bob] = [await router.wampy(), await router.wampy()];
    const bobId = bob.getSessionId();
    assert.ok((await ask(alice, 'wamp.session.count')) >= 2);
    assert.ok((await ask(alice, 'wamp.session.list')).map(Number).includes(Number(bobId)));
    assert.equal((await ask(alice, 'wamp.session.get', bobId)).authid, bob.welcome.authid);
    const unknown = await rejected(ask(alice, 'wamp.session.get', 1));
    assert.equal(unknown.errorUri, 'wamp.error.no_such_session');
    const { registrationId } = await patiently(bob.register(router.uri('procedure'), () => null));
    assert.equal(await ask(alice, 'wamp.registration.lookup', router.uri('procedure')), registrationId);
    assert.equal(await ask(alice, 'wamp.registration.count_callees', registrationId), 1);
    const left = await subscribe(alice, 'wamp.session.on_leave');
    await call(alice, 'wamp.session.kill', [bobId]);
    while (Number((await left.take()).args[0]) !== Number(bobId));
    assert.equal((await rejected(ask(alice, 'wamp.session.get', bobId))).errorUri, 'wamp.error.no_such_session');
}

async function joinsAs(router, options, authid, authmethod) {
    const wampy = await router.wampy(options);
    const { welcome } = wampy;
    assert.deepEqual([welcome.authid, welcome.authrole, welcome.authmethod], [authid, 'user', authmethod]);
    assert.ok((await ask(wampy, 'wamp.session.count')) >= 1);
}

async function staysOut(router, options) {
    assert.equal((await rejected(router.wampy(options))).errorUri, 'wamp.error.authentication_failed');
}

async function ticket(router) {
    const options = { authid: 'joe', authmethods: ['ticket'], onChallenge: () => 'secret!!!' };
    await joinsAs(router, options, 'joe', 'ticket');
    await staysOut(router, { ...options, onChallenge: () => 'guess' });
}

async function wampcra(router) {
    const options = { authid: 'peter', authmethods: ['wampcra'], onChallenge: wampyCra.sign('secret1') };
    await joinsAs(router, options, 'peter', 'wampcra');
    await joinsAs(router, { ...options, authid: 'petra', onChallenge: wampyCra.sign('secret123') }, 'petra', 'wampcra');
    await staysOut(router, { ...options, onChallenge: wampyCra.sign('guess') });
}

async function cryptosign(router) {
    // The keys of RFC 8032, section 7.1: the configuration of the test admits the first.
    const options = {
        authid: 'client01',
        authmethods: ['cryptosign'],
        authextra: { pubkey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a' },
        onChallenge: wampyCryptosign.sign('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'),
    };
    await joinsAs(router, options, 'client01', 'cryptosign');
    const other = wampyCryptosign.sign('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');
    await staysOut(router, { ...options, onChallenge: other });
}

async function unknownRealm(router) {
    assert.equal((await rejected(router.wampy({ realm: 'no.such.realm' }))).errorUri, 'wamp.error.no_such_realm');
}

async function largeMessages(router) {
    const [caller, callee] = [await router.wampy(), await router.wampy()];
    await patiently(callee.register(router.uri('echo'), ({ argsList }) => ({ argsList })));
    const text = 'abcdefghij'.repeat(60_000);
    assert.equal(await ask(caller, router.uri('echo'), text), text);
}

await main([
    eventArrivesWhole,
    eventsKeepTheirOrder,
    patterns,
    publisherIsExcludedUnlessItAsks,
    receiversAreChosen,
    unsubscribedHearsNothing,
    resultArrivesWhole,
    errorsArriveWhole,
    callsAtOnce,
    progressiveResults,
    patternRegistrations,
    sharedRegistration,
    unregisteredIsGone,
    callIsCancelled,
    callTimesOut,
    callerIsDisclosedWhenItWants,
    payloadPassthru,
    metaApi,
    ticket,
    wampcra,
    cryptosign,
    unknownRealm,
    largeMessages,
]);
