// Runs the scenarios of page.mjs in headless Chromium: serves the page on loopback and drives it with playwright-core.

import { readFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Router, offerCount, require } from '../node/support.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const { chromium } = require('playwright-core');

// How long one scenario may take. It only bounds a failure, so it is generous.
const PATIENCE_MS = 20_000;

const FILES = {
    '/': [path.join(here, 'page.html'), 'text/html'],
    '/page.mjs': [path.join(here, 'page.mjs'), 'text/javascript'],
    '/autobahn.js': [require.resolve('autobahn-browser/autobahn.min.js'), 'text/javascript'],
};

function serve() {
    const server = http.createServer(async (request, response) => {
        const found = FILES[request.url];
        if (!found) return response.writeHead(404).end();
        response.writeHead(200, { 'Content-Type': found[1] });
        return response.end(await readFile(found[0]));
    });
    return new Promise((resolve) => {
        server.listen(0, '127.0.0.1', () => resolve(server));
    });
}

function launch() {
    return chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        headless: true,
        args: [
            '--no-sandbox',
            '--disable-gpu',
            '--disable-quic',
            '--no-first-run',
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-sync',
        ],
    });
}

async function run(page, router, name) {
    const late = new Promise((_, reject) => {
        setTimeout(() => reject(new Error('timeout: the scenario does not end')), PATIENCE_MS).unref();
    });
    await Promise.race([page.evaluate(([scenario, there]) => window.scenarios[scenario](there), [name, router]), late]);
}

const { values: options } = parseArgs({
    options: {
        url: { type: 'string' },
        realm: { type: 'string', default: 'realm1' },
        serializer: { type: 'string', default: 'cbor,msgpack,json' },
    },
});
const server = await serve();
const browser = await launch();
const page = await browser.newPage();
page.on('pageerror', (error) => console.log(`the page says: ${error}`));
page.on('console', (message) => console.log(`the page says: ${message.text()}`));
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.waitForFunction('window.scenarios', null, { timeout: PATIENCE_MS });

let [count, failed] = [0, 0];
for (const serializer of options.serializer.split(',')) {
    const helper = new Router(options.url, options.realm, serializer, 'browser');
    await offerCount(await helper.wampy(), helper.uri(serializer));
    for (const name of await page.evaluate(() => Object.keys(window.scenarios))) {
        const uri = `com.example.b${count++}`;
        const router = { url: options.url, realm: options.realm, serializer, uri, count: helper.uri(serializer) };
        try {
            await run(page, router, name);
            console.log(`ok ${name} [${serializer}]`);
        } catch (error) {
            failed += 1;
            console.log(`FAIL ${name} [${serializer}]: ${error.message.replaceAll('\n', ' ')}`);
        }
    }
}
console.log(`ran ${count} scenarios, ${failed} failed`);
await browser.close();
process.exit(failed === 0 ? 0 : 1);
