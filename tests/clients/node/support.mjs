// What the scenarios of Node share: the libraries, joining with each of them, and running and reporting.
//
// A scenario is an async function that takes a `Router` and asserts. It runs once for every serializer, and prints one
// line each time. Nothing here sleeps: what must arrive is awaited, and what must not is fenced by a later message.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const here = import.meta.dirname ?? path.dirname(fileURLToPath(import.meta.url));
const clients = process.env.TEST_CLIENTS ?? path.join(here, '../../../target/test-clients');
export const require = createRequire(path.join(clients, 'node/'));
// For modules that cannot be required.
export const load = (name) => import(pathToFileURL(require.resolve(name)));

// autobahn-js takes the WebSocket of the platform, which Node has since version 22.
globalThis.WebSocket ??= require('ws').WebSocket;

const autobahn = require('autobahn');
// It warns of every connection that closes, also of those that should.
autobahn.log.warn = () => {};
// Its modules hold the console's own function.
console.warn = () => {};

const { Wampy } = require('wampy');
const { CborSerializer } = require('wampy/CborSerializer.js');
const { MsgpackSerializer } = require('wampy/MsgpackSerializer.js');
const { JsonSerializer } = require('wampy/JsonSerializer.js');
const { w3cwebsocket } = require('websocket');

export { assert, autobahn };

// How long anything that must come may take. It only bounds a failure, so it is generous.
const PATIENCE_MS = 20_000;

const AUTOBAHN_SERIALIZERS = {
    json: () => new autobahn.serializer.JSONSerializer(),
    msgpack: () => new autobahn.serializer.MsgpackSerializer(),
    cbor: () => new autobahn.serializer.CBORSerializer(),
};

const WAMPY_SERIALIZERS = {
    json: () => new JsonSerializer(),
    msgpack: () => new MsgpackSerializer(),
    cbor: () => new CborSerializer(),
};

// The router as one scenario sees it: where it is, how it is spoken to, and which sessions were opened there.
export class Router {
    constructor(url, realm, serializer, name) {
        Object.assign(this, { url, realm, serializer, name, closers: [] });
    }

    // A URI that no other run of a scenario uses.
    uri(suffix) {
        return `com.example.${this.name}.${suffix}`;
    }

    // Opens a session of autobahn-js; rejects with the reason of the ABORT when the router does not let it in.
    autobahn(options = {}) {
        const connection = new autobahn.Connection({
            url: this.url,
            realm: this.realm,
            serializers: [AUTOBAHN_SERIALIZERS[this.serializer]()],
            max_retries: 0,
            retry_if_unreachable: false,
            on_user_error: () => {},
            on_internal_error: () => {},
            ...options,
        });
        const closed = new Promise((resolve) => {
            connection.onclose = (reason, details) => {
                resolve(details.reason ?? reason);
                return true;
            };
        });
        const opened = new Promise((resolve, reject) => {
            connection.onopen = (session, details) => {
                this.closers.push(async () => {
                    if (connection.isOpen) connection.close();
                    await closed;
                });
                resolve(Object.assign(session, { details, closed, connection }));
            };
            closed.then(reject);
        });
        connection.open();
        return patiently(opened);
    }

    // Opens a session of wampy.
    async wampy(options = {}) {
        const wampy = new Wampy(this.url, {
            realm: this.realm,
            serializer: WAMPY_SERIALIZERS[this.serializer](),
            payloadSerializers: { json: new JsonSerializer(), cbor: new CborSerializer() },
            ws: w3cwebsocket,
            autoReconnect: false,
            uriValidation: 'loose',
            ...options,
        });
        wampy.welcome = await patiently(wampy.connect());
        this.closers.push(() => wampy.disconnect());
        return wampy;
    }

    async close() {
        await Promise.allSettled(this.closers.map((close) => patiently(close())));
    }
}

// Keeps what arrives, in order, for someone who awaits it.
export class Inbox {
    #waiting = [];
    #arrived = [];

    put(item) {
        const waiter = this.#waiting.shift();
        if (waiter) waiter(item);
        else this.#arrived.push(item);
    }

    take() {
        if (this.#arrived.length > 0) return Promise.resolve(this.#arrived.shift());
        return patiently(new Promise((resolve) => this.#waiting.push(resolve)));
    }

    // All items before the one whose first argument is `last`.
    async until(last) {
        const items = [];
        for (;;) {
            const item = await this.take();
            if (item.args?.[0] === last) return items;
            items.push(item);
        }
    }
}

// Registers a procedure with wampy that counts up to its argument, and tells each number on the way.
export function offerCount(wampy, uri) {
    return wampy.register(uri, ({ argsList: [count], result_handler }) => {
        for (let number = 0; number < count; number += 1) {
            result_handler({ options: { progress: true }, argsList: [number] });
        }
        return { argsList: ['done'] };
    });
}

export function patiently(promise) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error('timeout: nothing came')), PATIENCE_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Asserts that the promise is rejected, and returns what with.
export async function rejected(promise) {
    let answer;
    try {
        answer = await patiently(promise);
    } catch (error) {
        return error;
    }
    assert.fail(`the answer is ${JSON.stringify(answer)}, not an error`);
}

export function deferred() {
    const parts = {};
    parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
    return parts;
}

export async function main(scenarios) {
    const { values: options } = parseArgs({
        options: {
            url: { type: 'string' },
            realm: { type: 'string', default: 'realm1' },
            serializer: { type: 'string', default: 'cbor,msgpack,json' },
            only: { type: 'string', default: '' },
        },
    });
    let failed = 0;
    let count = 0;
    for (const serializer of options.serializer.split(',')) {
        for (const scenario of scenarios.filter((one) => one.name.includes(options.only))) {
            const router = new Router(options.url, options.realm, serializer, `n${count++}`);
            const name = `${scenario.name} [${serializer}]`;
            try {
                await patiently(scenario(router));
                console.log(`ok ${name}`);
            } catch (error) {
                failed += 1;
                console.log(`FAIL ${name}: ${why(error)}`);
                if (error?.stack) console.log(error.stack);
            }
            await router.close();
        }
    }
    console.log(`ran ${count} scenarios, ${failed} failed`);
    process.exit(failed === 0 ? 0 : 1);
}

// The reason in one line; the errors of autobahn-js are no JavaScript errors.
function why(error) {
    const text = error?.message ?? JSON.stringify(error);
    return String(text).replaceAll('\n', ' ');
}
