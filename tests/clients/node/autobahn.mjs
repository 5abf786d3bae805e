// autobahn-js in Node: publish and subscribe, calls, progress, cancel, meta API and every way to come in.

import { Inbox, assert, autobahn, deferred, main, patiently, rejected, require } from './support.mjs';

const nacl = require('tweetnacl');

async function subscribe(session, topic, options) {
    const inbox = new Inbox();
    const handler = (args, kwargs, details) => inbox.put({ args, kwargs, details });
    inbox.subscription = await patiently(session.subscribe(topic, handler, options));
    return inbox;
}

function publish(session, topic, args, kwargs, options) {
    return patiently(session.publish(topic, args, kwargs, { acknowledge: true, ...options }));
}

async function eventArrivesWhole(router) {
    const [alice, bob] = [await router.autobahn(), await router.autobahn()];
    const inbox = await subscribe(bob, router.uri('topic'));
    const publication = await publish(alice, router.uri('topic'), [1, 'two', [3]], { colour: 'red' });
    const event = await inbox.take();
    assert.deepEqual(event.args, [1, 'two', [3]]);
    assert.deepEqual(event.kwargs, { colour: 'red' });
    assert.equal(event.details.publication, publication.id);
    assert.equal(event.details.topic, router.uri('topic'));
}

async function eventsKeepTheirOrder(router) {
    const [alice, bob] = [await router.autobahn(), await router.autobahn()];
    const inbox = await subscribe(bob, router.uri('topic'));
    for (let number = 0; number < 200; number += 1) alice.publish(router.uri('topic'), [number]);
    await publish(alice, router.uri('topic'), ['fence']);
    const events = await inbox.until('fence');
    assert.deepEqual(
        events.map((event) => event.args[0]),
        Array.from({ length: 200 }, (_, number) => number),
    );
}

async function patterns(router) {
    const [alice, bob] = [await router.autobahn(), await router.autobahn()];
    const prefix = await subscribe(bob, router.uri('house'), { match: 'prefix' });
    const wildcard = await subscribe(bob, router.uri('house..lamp'), { match: 'wildcard' });
    for (const topic of ['house.1.lamp', 'houseboat', 'garden']) await publish(alice, router.uri(topic), [topic]);
    await publish(alice, router.uri('house.9.lamp'), ['fence']);
    assert.deepEqual(
        (await prefix.until('fence')).map((event) => event.details.topic),
        [router.uri('house.1.lamp'), router.uri('houseboat')],
    );
    assert.deepEqual(
        (await wildcard.until('fence')).map((event) => event.details.topic),
        [router.uri('house.1.lamp')],
    );
}

async function publisherIsExcludedUnlessItAsks(router) {
    const alice = await router.autobahn();
    const inbox = await subscribe(alice, router.uri('topic'));
    await publish(alice, router.uri('topic'), ['not to me']);
    await publish(alice, router.uri('topic'), ['to me'], {}, { exclude_me: false });
    await publish(alice, router.uri('topic'), ['fence'], {}, { exclude_me: false });
    assert.deepEqual((await inbox.until('fence')).map((event) => event.args[0]), ['to me']);
}

async function receiversAreChosen(router) {
    const [alice, bob, carol] = [await router.autobahn(), await router.autobahn(), await router.autobahn()];
    const inboxes = [await subscribe(bob, router.uri('topic')), await subscribe(carol, router.uri('topic'))];
    const heardBy = async (options) => {
        await publish(alice, router.uri('topic'), ['maybe'], {}, options);
        await publish(alice, router.uri('topic'), ['fence']);
        return Promise.all(inboxes.map(async (inbox) => (await inbox.until('fence')).length));
    };
    assert.deepEqual(await heardBy({ eligible: [bob.id] }), [1, 0]);
    assert.deepEqual(await heardBy({ exclude: [bob.id] }), [0, 1]);
    assert.deepEqual(await heardBy({ eligible_authid: [carol.details.authid] }), [0, 1]);
    assert.deepEqual(await heardBy({ exclude_authid: [carol.details.authid] }), [1, 0]);
    assert.deepEqual(await heardBy({ eligible_authrole: ['nobody'] }), [0, 0]);
    assert.deepEqual(await heardBy({ exclude_authrole: ['nobody'] }), [1, 1]);
}

async function retainedEvent(router) {
    const [alice, bob] = [await router.autobahn(), await router.autobahn()];
    await publish(alice, router.uri('topic'), ['kept'], {}, { retain: true });
    const inbox = await subscribe(bob, router.uri('topic'), { get_retained: true });
    const event = await inbox.take();
    assert.deepEqual(event.args, ['kept']);
    assert.equal(event.details.retained, true);
}

async function unsubscribedHearsNothing(router) {
    const [alice, bob] = [await router.autobahn(), await router.autobahn()];
    const inbox = await subscribe(bob, router.uri('topic'));
    const fence = await subscribe(bob, router.uri('fence'));
    await patiently(bob.unsubscribe(inbox.subscription));
    // An EVENT for it now would be a protocol violation to autobahn-js, which would end the connection.
    await publish(alice, router.uri('topic'), ['unheard']);
    await publish(alice, router.uri('fence'), ['fence']);
    assert.deepEqual(await fence.until('fence'), []);
    assert.ok(bob.isOpen);
}

async function publisherIsDisclosedWhereConfigured(router) {
    const [alice, bob] = [await router.autobahn(), await router.autobahn()];
    const topic = `com.example.disclosed.${router.name}.${router.serializer}`;
    const inbox = await subscribe(bob, topic);
    await publish(alice, topic, ['signed']);
    assert.equal((await inbox.take()).details.publisher, alice.id);
    const hidden = await subscribe(bob, router.uri('topic'));
    await publish(alice, router.uri('topic'), ['unsigned']);
    assert.equal((await hidden.take()).details.publisher, undefined);
}

async function resultArrivesWhole(router) {
    const [caller, callee] = [await router.autobahn(), await router.autobahn()];
    const seen = [];
    await patiently(
        callee.register(router.uri('swap'), (args, kwargs) => {
            seen.push([args, kwargs]);
            return new autobahn.Result(args.toReversed?.() ?? [...args].reverse(), kwargs);
        }),
    );
    const result = await patiently(caller.call(router.uri('swap'), [1, 'two', [3]], { colour: 'red' }));
    assert.deepEqual(seen, [[[1, 'two', [3]], { colour: 'red' }]]);
    assert.deepEqual(result.args, [[3], 'two', 1]);
    assert.deepEqual(result.kwargs, { colour: 'red' });
}

async function errorsArriveWhole(router) {
    const [caller, callee] = [await router.autobahn(), await router.autobahn()];
    await patiently(
        callee.register(router.uri('break'), () => {
            throw new autobahn.Error('com.example.error.broken', ['pieces', 3], { colour: 'red' });
        }),
    );
    const broken = await rejected(caller.call(router.uri('break')));
    assert.equal(broken.error, 'com.example.error.broken');
    assert.deepEqual(broken.args, ['pieces', 3]);
    assert.deepEqual(broken.kwargs, { colour: 'red' });
    assert.equal((await rejected(caller.call(router.uri('nowhere')))).error, 'wamp.error.no_such_procedure');
    assert.equal(
        (await rejected(caller.register(router.uri('break'), () => 1))).error,
        'wamp.error.procedure_already_exists',
    );
    assert.equal((await rejected(caller.register('wamp.session.mine', () => 1))).error, 'wamp.error.invalid_uri');
}

async function callsAtOnce(router) {
    const [caller, callee] = [await router.autobahn(), await router.autobahn()];
    await patiently(callee.register(router.uri('square'), ([number]) => number * number));
    const numbers = Array.from({ length: 100 }, (_, number) => number);
    const answers = await Promise.all(numbers.map((number) => patiently(caller.call(router.uri('square'), [number]))));
    assert.deepEqual(answers, numbers.map((number) => number * number));
}

async function progressiveResults(router) {
    const [caller, callee] = [await router.autobahn(), await router.autobahn()];
    const count = ([until], _kwargs, { progress }) => {
        Array.from({ length: until }, (_, number) => progress([number]));
        return 'done';
    };
    await patiently(callee.register(router.uri('count'), count));
    const heard = [];
    const done = deferred();
    caller
        .call(router.uri('count'), [3], {}, { receive_progress: true })
        .then(done.resolve, done.reject, (progress) => heard.push(progress));
    assert.equal(await patiently(done.promise), 'done');
    assert.deepEqual(heard, [0, 1, 2]);
}

async function calleeNeedNotProgress(router) {
    const [caller, callee] = [await router.autobahn(), await router.autobahn()];
    await patiently(callee.register(router.uri('count'), (_args, _kwargs, { progress }) => typeof progress));
    const answer = await patiently(caller.call(router.uri('count'), [3], {}, { receive_progress: true }));
    assert.equal(answer, 'function');
}

async function patternRegistrations(router) {
    const [caller, callee] = [await router.autobahn(), await router.autobahn()];
    const offer = (name, uri, options) =>
        patiently(callee.register(router.uri(uri), (_args, _kwargs, details) => [name, details.procedure], options));
    await offer('exact', 'a.b.c');
    await offer('prefix', 'a.b', { match: 'prefix' });
    await offer('wildcard', 'a..c', { match: 'wildcard' });
    for (const [uri, name] of [
        ['a.b.c', 'exact'],
        ['a.b.x', 'prefix'],
        ['a.x.c', 'wildcard'],
    ]) {
        assert.deepEqual(await patiently(caller.call(router.uri(uri))), [name, router.uri(uri)]);
    }
}

async function sharedRegistration(router) {
    const caller = await router.autobahn();
    const registrations = [];
    for (const name of ['a', 'b', 'c']) {
        const callee = await router.autobahn();
        registrations.push(await patiently(callee.register(router.uri('who'), () => name, { invoke: 'roundrobin' })));
    }
    assert.equal(new Set(registrations.map((registration) => registration.id)).size, 1);
    const answers = [];
    for (let turn = 0; turn < 6; turn += 1) answers.push(await patiently(caller.call(router.uri('who'))));
    assert.deepEqual(answers.toSorted?.() ?? [...answers].sort(), ['a', 'a', 'b', 'b', 'c', 'c']);
    assert.deepEqual(answers.slice(0, 3), answers.slice(3));
}

async function unregisteredIsGone(router) {
    const [caller, callee] = [await router.autobahn(), await router.autobahn()];
    const registration = await patiently(callee.register(router.uri('brief'), () => 1));
    await patiently(callee.unregister(registration));
    assert.equal((await rejected(caller.call(router.uri('brief')))).error, 'wamp.error.no_such_procedure');
}

async function callIsCancelled(router) {
    const [caller, callee] = [await router.autobahn(), await router.autobahn()];
    const [begun, release] = [deferred(), deferred()];
    await patiently(
        callee.register(router.uri('slow'), () => {
            begun.resolve();
            return release.promise;
        }),
    );
    // autobahn-js forgets a call that it cancels in any other mode, and takes the ERROR that must come for a violation.
    // Its callees cannot be interrupted, so the router answers for them.
    const call = caller.call(router.uri('slow'));
    await patiently(begun.promise);
    call.cancel({ mode: 'kill' });
    assert.equal((await rejected(call)).error, 'wamp.error.canceled');
    release.resolve('late');
    await patiently(callee.register(router.uri('still'), () => 'works'));
    assert.equal(await patiently(caller.call(router.uri('still'))), 'works');
}

async function callTimesOut(router) {
    const [caller, callee] = [await router.autobahn(), await router.autobahn()];
    const release = deferred();
    await patiently(callee.register(router.uri('slow'), () => release.promise));
    assert.equal(
        (await rejected(caller.call(router.uri('slow'), [], {}, { timeout: 50 }))).error,
        'wamp.error.timeout',
    );
    release.resolve('late');
    await patiently(callee.register(router.uri('still'), () => 'works'));
    assert.equal(await patiently(caller.call(router.uri('still'))), 'works');
}

async function callerIsDisclosedWhereConfigured(router) {
    const [caller, callee] = [await router.autobahn(), await router.autobahn()];
    const uri = `com.example.disclosed.${router.name}.${router.serializer}`;
    await patiently(callee.register(uri, (_args, _kwargs, details) => details.caller));
    assert.equal(await patiently(caller.call(uri)), caller.id);
}

async function metaApi(router) {
    const [alice, bob] = [await router.autobahn(), await router.autobahn()];
    const ask = (procedure, ...args) => patiently(alice.call(procedure, args));
    assert.ok((await ask('wamp.session.count')) >= 2);
    assert.ok((await ask('wamp.session.list')).includes(bob.id));
    assert.equal((await ask('wamp.session.get', bob.id)).authid, bob.details.authid);
    assert.equal((await rejected(ask('wamp.session.get', 1))).error, 'wamp.error.no_such_session');
    const registration = await patiently(bob.register(router.uri('procedure'), () => 1));
    assert.equal(await ask('wamp.registration.lookup', router.uri('procedure')), registration.id);
    assert.deepEqual(await ask('wamp.registration.list_callees', registration.id), [bob.id]);
    const { subscription } = await subscribe(bob, router.uri('topic'), { match: 'prefix' });
    assert.equal(await ask('wamp.subscription.lookup', router.uri('topic'), { match: 'prefix' }), subscription.id);
    assert.equal(await ask('wamp.subscription.count_subscribers', subscription.id), 1);
    const left = await subscribe(alice, 'wamp.session.on_leave');
    const bobId = bob.id;
    await patiently(alice.call('wamp.session.kill', [bobId], { reason: 'com.example.closed' }));
    assert.equal(await patiently(bob.closed), 'com.example.closed');
    while ((await left.take()).args[0] !== bobId);
}

async function testament(router) {
    const [alice, bob] = [await router.autobahn(), await router.autobahn()];
    const inbox = await subscribe(alice, router.uri('will'));
    await patiently(bob.call('wamp.session.add_testament', [router.uri('will'), ['gone'], { who: 'bob' }]));
    bob.connection.close();
    const event = await inbox.take();
    assert.deepEqual([event.args, event.kwargs], [['gone'], { who: 'bob' }]);
}

async function joinsAs(router, options, authid, authmethod) {
    const session = await router.autobahn(options);
    const { details } = session;
    assert.deepEqual([details.authid, details.authrole, details.authmethod], [authid, 'user', authmethod]);
    const inbox = await subscribe(session, router.uri(`own.${authid}`));
    await publish(session, router.uri(`own.${authid}`), ['works'], {}, { exclude_me: false });
    assert.deepEqual((await inbox.take()).args, ['works']);
}

async function ticket(router) {
    const options = { authmethods: ['ticket'], authid: 'joe', onchallenge: () => 'secret!!!' };
    await joinsAs(router, options, 'joe', 'ticket');
    const reason = await rejected(router.autobahn({ ...options, onchallenge: () => 'guess' }));
    assert.equal(reason, 'wamp.error.authentication_failed');
}

async function wampcra(router) {
    const prove = (secret) => (_session, _method, extra) =>
        autobahn.auth_cra.sign(
            extra.salt ? autobahn.auth_cra.derive_key(secret, extra.salt, extra.iterations, extra.keylen) : secret,
            extra.challenge,
        );
    const options = { authmethods: ['wampcra'], authid: 'peter', onchallenge: prove('secret1') };
    await joinsAs(router, options, 'peter', 'wampcra');
    await joinsAs(router, { ...options, authid: 'petra', onchallenge: prove('secret123') }, 'petra', 'wampcra');
    const reason = await rejected(router.autobahn({ ...options, onchallenge: prove('guess') }));
    assert.equal(reason, 'wamp.error.authentication_failed');
}

async function cryptosign(router) {
    const pair = (seed) => nacl.sign.keyPair.fromSeed(Uint8Array.from(Buffer.from(seed, 'hex')));
    const options = (key) => ({
        authmethods: ['cryptosign'],
        authid: 'client01',
        authextra: { pubkey: autobahn.auth_cryptosign.public_key(key), channel_binding: null },
        onchallenge: (_session, _method, extra) => autobahn.auth_cryptosign.sign_challenge(key, extra),
    });
    // The keys of RFC 8032, section 7.1: the configuration of the test admits the first.
    const known = pair('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60');
    const other = pair('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');
    await joinsAs(router, options(known), 'client01', 'cryptosign');
    assert.equal(await rejected(router.autobahn(options(other))), 'wamp.error.authentication_failed');
}

async function unknownRealm(router) {
    assert.equal(await rejected(router.autobahn({ realm: 'no.such.realm' })), 'wamp.error.no_such_realm');
}

async function closingIsOrderly(router) {
    const connection = (await router.autobahn()).connection;
    const { onclose } = connection;
    const closed = new Promise((resolve) => {
        connection.onclose = (how, details) => {
            resolve([how, details.reason]);
            return onclose(how, details);
        };
    });
    connection.close('com.example.close.enough', 'enough');
    // "lost" would be a connection that ended without a closing handshake.
    assert.deepEqual(await patiently(closed), ['closed', 'wamp.close.goodbye_and_out']);
}

async function manySessionsAtOnce(router) {
    const sessions = await Promise.all(Array.from({ length: 40 }, () => router.autobahn()));
    assert.equal(new Set(sessions.map((session) => session.id)).size, sessions.length);
    const inboxes = await Promise.all(sessions.map((session) => subscribe(session, router.uri('topic'))));
    await Promise.all(sessions.map((session, n) => publish(session, router.uri('topic'), [n], {}, { exclude_me: false })));
    for (const inbox of inboxes) {
        const numbers = [];
        while (numbers.length < sessions.length) numbers.push((await inbox.take()).args[0]);
        assert.deepEqual(
            numbers.sort((one, other) => one - other),
            sessions.map((_, n) => n),
        );
    }
}

async function everySubscriptionThatMatchesIsServed(router) {
    const [alice, bob] = [await router.autobahn(), await router.autobahn()];
    const topic = router.uri('house.kitchen.lamp');
    const inboxes = [
        await subscribe(bob, topic),
        await subscribe(bob, router.uri('house'), { match: 'prefix' }),
        await subscribe(bob, router.uri('house..lamp'), { match: 'wildcard' }),
    ];
    const publication = await publish(alice, topic, ['on']);
    for (const inbox of inboxes) {
        const event = await inbox.take();
        assert.deepEqual([event.args, event.details.publication], [['on'], publication.id]);
    }
    await publish(alice, topic, ['fence']);
    for (const inbox of inboxes) assert.deepEqual(await inbox.until('fence'), []);
}

async function handlersThatThrowHarmNobody(router) {
    const [alice, bob] = [await router.autobahn(), await router.autobahn()];
    const inbox = new Inbox();
    await patiently(
        bob.subscribe(router.uri('topic'), (args) => {
            inbox.put({ args });
            throw new Error('not my day');
        }),
    );
    await patiently(
        bob.register(router.uri('moody'), ([wanted]) => {
            if (wanted === 'trouble') throw new Error('not my day');
            return wanted;
        }),
    );
    for (const wanted of ['first', 'second']) {
        await publish(alice, router.uri('topic'), [wanted]);
        assert.deepEqual((await inbox.take()).args, [wanted]);
        assert.match((await rejected(alice.call(router.uri('moody'), ['trouble']))).error, /^wamp\.error\./);
        assert.equal(await patiently(alice.call(router.uri('moody'), [wanted])), wanted);
    }
}

// As much as a message may have without any configuration, a mebibyte, less what is around it.
async function largestMessages(router) {
    const [one, other] = [await router.autobahn(), await router.autobahn()];
    await patiently(other.register(router.uri('echo'), ([text]) => text));
    const inbox = await subscribe(other, router.uri('topic'));
    const text = 'x'.repeat(1_048_000);
    assert.equal((await patiently(one.call(router.uri('echo'), [text]))).length, text.length);
    await publish(one, router.uri('topic'), [text]);
    assert.equal((await inbox.take()).args[0].length, text.length);
}

async function largeMessages(router) {
    const [caller, callee] = [await router.autobahn(), await router.autobahn()];
    await patiently(callee.register(router.uri('echo'), ([text]) => text));
    const text = 'abcdefghij'.repeat(60_000);
    assert.equal(await patiently(caller.call(router.uri('echo'), [text])), text);
}

await main([
    eventArrivesWhole,
    eventsKeepTheirOrder,
    patterns,
    publisherIsExcludedUnlessItAsks,
    receiversAreChosen,
    retainedEvent,
    unsubscribedHearsNothing,
    publisherIsDisclosedWhereConfigured,
    resultArrivesWhole,
    errorsArriveWhole,
    callsAtOnce,
    progressiveResults,
    calleeNeedNotProgress,
    patternRegistrations,
    sharedRegistration,
    unregisteredIsGone,
    callIsCancelled,
    callTimesOut,
    callerIsDisclosedWhereConfigured,
    metaApi,
    testament,
    ticket,
    wampcra,
    cryptosign,
    unknownRealm,
    closingIsOrderly,
    manySessionsAtOnce,
    everySubscriptionThatMatchesIsServed,
    handlersThatThrowHarmNobody,
    largeMessages,
    largestMessages,
]);
