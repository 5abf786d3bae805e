// The dashboard in headless Chromium against a running cluster: what an operator sees and does.
//
//   node run.mjs --url http://127.0.0.1:9000 --nodes edge1,edge2,edge3,edge4 --authid peter --ticket secret
//                --drain edge2 --victim edge3 --kill 'kill -9 4711' [--kill-master 'kill -9 4712']
//                [--screenshots FOLDER]
//
// The scenarios follow one another on one page, as the day of an operator does: a reload is what the dashboard does
// without. Nothing here sleeps; what must appear is awaited.

import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { assert, require } from '../clients/node/support.mjs';

const { chromium } = require('playwright-core');
const runFile = promisify(execFile);

// How long anything that must come may take. It only bounds a failure, so it is generous.
const PATIENCE_MS = 30_000;
// How soon the page must show that an edge, or the master, is gone.
const SHOWN_MS = 3_000;

const SCREENS = {
    light: { colorScheme: 'light', viewport: { width: 1440, height: 900 } },
    dark: { colorScheme: 'dark', viewport: { width: 1440, height: 900 } },
    phone: { colorScheme: 'light', viewport: { width: 360, height: 740 } },
};

const { values: options } = parseArgs({
    options: {
        url: { type: 'string' },
        nodes: { type: 'string' },
        authid: { type: 'string' },
        ticket: { type: 'string' },
        drain: { type: 'string' },
        victim: { type: 'string' },
        kill: { type: 'string' },
        'kill-master': { type: 'string' },
        screenshots: { type: 'string' },
    },
});
const nodes = options.nodes.split(',');

// ---- What an operator sees

async function showsEveryNodeUp({ page }) {
    for (const node of nodes) await card(page, node, 'up');
    await headline(page, /^The cluster is whole: /);
    for (const from of nodes) {
        for (const to of nodes.filter((node) => node !== from)) {
            // How fast a link is depends on the machine; that it is up does not.
            await page
                .locator(`[data-link="${from} ${to}"]:is([data-mood=good], [data-mood=fair], [data-mood=slow])`)
                .waitFor();
        }
    }
}

async function drawsALineForEveryNode({ page }) {
    for (const chart of ['#sessions-chart', '#events-chart']) {
        await page.waitForFunction(
            ([selector, count]) => document.querySelectorAll(`${selector} path.line[d^="M"]`).length === count,
            [chart, nodes.length],
        );
        const legend = await page.locator(`${chart} .legend li`).allInnerTexts();
        nodes.forEach((node, place) => assert.ok(legend[place].includes(node), `${chart} names ${node}: ${legend}`));
    }
}

async function readsTheChartByPointerAndKeys({ page }) {
    const frame = page.locator('#sessions-chart .frame');
    const read = page.locator('#sessions-chart h2 small');
    await frame.hover();
    await read.filter({ hasText: /^at \d/ }).waitFor();
    await page.locator('#headline').hover();
    await read.filter({ hasText: /^the last / }).waitFor();
    await frame.focus();
    await page.keyboard.press('ArrowLeft');
    await read.filter({ hasText: /^at \d/ }).waitFor();
    await page.keyboard.press('Escape');
    await read.filter({ hasText: /^the last / }).waitFor();
}

async function filtersTheLog({ page }) {
    await page.locator('#log li').first().waitFor();
    await page.selectOption('#log-filter', nodes[0]);
    const about = await page.locator('#log li b').allInnerTexts();
    assert.ok(about.length > 0 && about.every((node) => node === nodes[0]), `the log about ${nodes[0]}: ${about}`);
    await page.selectOption('#log-filter', '');
}

async function fitsAPhone({ page }) {
    await page.setViewportSize(SCREENS.phone.viewport);
    const [wanted, given] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    await page.setViewportSize(SCREENS.light.viewport);
    assert.ok(wanted <= given, `the page is ${wanted} pixels wide on a screen of ${given}`);
}

// ---- What it makes of answers that this cluster does not give: those that it does give, changed

async function drawsTheRightConclusions({ page }) {
    const [first, second] = nodes;
    const told = await page.evaluate(
        async ([one, other]) => {
            const { headline, unevenness, DropRates } = await import('/cluster.js');
            const status = await (await fetch('/api/cluster')).json();
            const changed = (edit) => {
                const copy = structuredClone(status);
                const find = (id) => copy.nodes.find((node) => node.id === id);
                edit(copy, find(one), find(other));
                return copy;
            };
            const lose = (_, node) =>
                (node.heartbeat.status.mesh.links.find((link) => link.peer === other).is_up = false);
            const at = (seconds, count) =>
                changed((copy, node) => {
                    copy.master.now = new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString();
                    for (const any of copy.nodes) any.heartbeat.counters.drops = {};
                    node.heartbeat.counters.drops = { slow_consumer: count };
                });
            const rates = new DropRates();
            const read = (seconds, count) => rates.handle(at(seconds, count))[0].perSecond;
            return {
                late: headline(changed((_, node) => (node.state = 'late'))),
                lost: headline(changed(lose)),
                // Its links went with it, which is no second piece of news.
                down: headline(changed((copy, node, peer) => (lose(copy, node), (peer.state = 'down')))),
                joining: headline(changed((_, node) => Object.assign(node, { state: 'joining', heartbeat: null }))),
                skew: headline(changed((copy) => copy.skew.push('not alike'))),
                empty: headline(changed((copy) => (copy.nodes = []))),
                uneven: unevenness(
                    changed((copy) =>
                        copy.nodes.forEach((node, place) => {
                            node.heartbeat.status.sessions = place === 0 ? 150 : 100;
                            if (place > 1) node.state = 'draining';
                        }),
                    ),
                ),
                // 20 in 10 s; then the node is restarted and counts from zero.
                drops: [read(0, 100), read(10, 120), read(11, 0)],
            };
        },
        [first, second],
    );
    const rest = `of ${nodes.length} edges up.`;
    const less = nodes.length - 1;
    assert.deepEqual(told.late, { mood: 'warn', text: `${first} is late; ${less} ${rest}` });
    assert.deepEqual(told.lost, {
        mood: 'bad',
        text: `The link ${first} → ${second} is lost; ${nodes.length} ${rest}`,
    });
    assert.deepEqual(told.down, { mood: 'bad', text: `${second} is down; ${less} ${rest}` });
    assert.deepEqual(told.joining, { mood: 'busy', text: `${first} is joining; ${less} ${rest}` });
    assert.deepEqual(told.skew, { mood: 'warn', text: `${nodes.length} edges up, but they are not alike.` });
    assert.equal(told.empty.text, 'No edge has been admitted yet.');
    assert.deepEqual(told.drops, [0, 2, 0]);
    assert.ok(Math.abs(told.uneven - 0.2) < 1e-9, `the fair share of 150 and 100 is off by ${told.uneven}`);
}

async function showsTextAsText({ page: known }) {
    const page = await known.context().newPage();
    const evil = '<img src="/x" onerror="document.title = 1">';
    await page.route('**/api/cluster', async (route) => {
        const response = await route.fetch();
        const status = await response.json();
        status.events.unshift({ number: 1e9, at: status.master.now, node: evil, kind: evil, text: evil });
        status.nodes[0].reason = evil;
        status.skew.push(evil);
        await route.fulfill({ response, json: status });
    });
    await page.goto(options.url);
    await page.locator('#log li').filter({ hasText: evil }).waitFor();
    await page.locator('#notices li').filter({ hasText: evil }).waitFor();
    await page.locator('.reason').filter({ hasText: evil }).waitFor();
    assert.equal(await page.locator('main img').count(), 0);
    await page.close();
}

async function saysWhenNobodyAnswersAndWhenSomebodyDoes({ page: known }) {
    const page = await known.context().newPage();
    await page.goto(options.url);
    await headline(page, /^The cluster is whole: /);
    for (const fail of [
        (route) => route.abort(),
        (route) => route.fulfill({ status: 503 }),
        (route) => route.fulfill({ body: 'no' }),
    ]) {
        await page.route('**/api/cluster', fail);
        await page
            .locator('#trouble:visible')
            .filter({ hasText: /master.* What is shown below / })
            .waitFor({ timeout: SHOWN_MS });
        assert.ok(!(await page.locator('#headline').isVisible()), 'what is not known any more is still the headline');
        await page.unroute('**/api/cluster');
        await page.locator('#trouble').waitFor({ state: 'hidden' });
    }
    await headline(page, /^The cluster is whole: /);
    await page.close();
}

// ---- What an operator does

async function offersNothingToStrangers({ page }) {
    const names = await page.locator('button:visible').allInnerTexts();
    assert.deepEqual(names, ['Sign in']);
    assert.ok(!(await page.locator('#refusals-panel').isVisible()), 'who was refused is for operators');
}

async function refusesAWrongTicket({ page }) {
    await signIn(page, options.authid, `not ${options.ticket}`);
    await page
        .locator('#login [role=alert]')
        .filter({ hasText: /\w+.*\.$/ })
        .waitFor();
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('.asking').count(), 0);
}

async function signsInAndKeepsNoTicket({ page }) {
    await signIn(page, options.authid, options.ticket);
    await page.locator('#account').filter({ hasText: options.authid }).waitFor();
    await page.getByRole('button', { name: `Drain ${options.drain} …` }).waitFor();
    const kept = await page.evaluate(() => [
        localStorage.length,
        sessionStorage.length,
        document.cookie,
        document.querySelector('[name=ticket]').value,
    ]);
    assert.deepEqual(kept, [0, 0, '', '']);
}

// The wrong ticket of before is one of them; the other is of somebody who hopes that the page takes his name for markup.
async function showsWhoWasRefused({ page }) {
    const evil = '<img src="/x" onerror="document.title = 1">';
    await page.evaluate(async (authid) => {
        const socket = new WebSocket(new URL('/ws', location.href.replace(/^http/, 'ws')), 'wamp.2.json');
        await new Promise((resolve) => (socket.onopen = resolve));
        socket.send(JSON.stringify([1, 'no.such.realm', { roles: { caller: {} }, authid }]));
        await new Promise((resolve) => (socket.onmessage = resolve));
        socket.close();
    }, evil);
    const rows = page.locator('#refusals tbody tr');
    await rows.filter({ hasText: evil }).filter({ hasText: 'no.such.realm' }).waitFor();
    assert.equal(await page.locator('#refusals img').count(), 0);
    const all = await rows.allInnerTexts();
    const newest = all.find((row) => row.includes(evil));
    const before = all.find((row) => row.includes('authentication_failed'));
    assert.ok(all.indexOf(newest) < all.indexOf(before), `the newest comes first: ${all}`);
    assert.ok(before.includes(options.authid) && before.includes('ticket'), `who, and why: ${before}`);
    for (const [words, found] of [
        ['Authentication_Failed', before],
        [`${options.authid} ticket`, before],
        ['<img', newest],
        ['no.such.realm hello_refused', newest],
    ]) {
        await page.fill('#refusals-search', words);
        assert.deepEqual(await rows.allInnerTexts(), [found], `searched for ${words}`);
    }
    await page.fill('#refusals-search', 'no.such.realm authentication_failed');
    await page.locator('#no-refusals:visible').filter({ hasText: 'No refusal has all these words.' }).waitFor();
    assert.equal(await rows.count(), 0);
    await page.fill('#refusals-search', '');
    await rows.filter({ hasText: evil }).waitFor();
    await fitsAPhone({ page });
    if (options.screenshots) await shoot(page, 'refusals-light');
}

async function asksBeforeItDrains({ page }) {
    await page.getByRole('button', { name: `Drain ${options.drain} …` }).click();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: `Drain ${options.drain} …` }).waitFor();
    assert.equal(await page.locator(`[data-node="${options.drain}"]`).getAttribute('data-state'), 'up');
}

async function drainsAndUndrains({ page }) {
    await press(page, `Drain ${options.drain}`, '1');
    await card(page, options.drain, 'draining');
    await headline(page, new RegExp(`${options.drain} is draining`));
    await page.locator('#log li').filter({ hasText: options.drain }).filter({ hasText: 'draining' }).first().waitFor();
    await press(page, `Undrain ${options.drain}`);
    await card(page, options.drain, 'up');
    await headline(page, /^The cluster is whole: /);
}

async function rebalances({ page }) {
    await press(page, 'Rebalance', '50');
    const answer = page.locator('#steering .answer');
    await answer.filter({ hasText: /\.$/ }).waitFor();
    assert.equal(await answer.getAttribute('data-mood'), 'good', await answer.innerText());
}

async function showsAKilledEdge({ page }) {
    const since = await kill(options.kill);
    // A lost connection makes it late at once; down it is when nothing was heard of it for three seconds.
    await page.locator(`[data-node="${options.victim}"]:is([data-state=late], [data-state=down])`).waitFor();
    await headline(page, new RegExp(`^${options.victim} is (late|down); `));
    const took = performance.now() - since;
    assert.ok(took <= SHOWN_MS, `it took ${took.toFixed(0)} ms`);
    console.log(`  the page said so ${took.toFixed(0)} ms after ${options.victim} was killed`);
    await card(page, options.victim, 'down');
    await headline(page, new RegExp(`^${options.victim} is down; ${nodes.length - 1} of ${nodes.length} edges up.$`));
}

async function saysThatTheMasterIsGone({ page }) {
    if (!options['kill-master']) return;
    const since = await kill(options['kill-master']);
    await page
        .locator('#trouble:visible')
        .filter({ hasText: /master/ })
        .waitFor({ timeout: SHOWN_MS });
    console.log(`  the page said so ${(performance.now() - since).toFixed(0)} ms after the master was killed`);
    // Who was signed in is not any more, and so nobody steers by what is not known.
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    assert.equal(await page.locator('.asking').count(), 0);
    assert.ok(!(await page.locator('#refusals-panel').isVisible()), 'who was refused is for operators');
    assert.equal(await page.locator('#refusals tbody tr').count(), 0);
}

// ---- The words of the scenarios

async function card(page, node, state) {
    await page.locator(`[data-node="${node}"][data-state="${state}"] .badge`).filter({ hasText: state }).waitFor();
}

async function headline(page, pattern) {
    await page.locator('#headline').filter({ hasText: pattern }).waitFor();
}

async function signIn(page, authid, ticket) {
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.fill('#login [name=authid]', authid);
    await page.fill('#login [name=ticket]', ticket);
    await page.click('#login [type=submit]');
}

// Presses a button, gives the number that it asks for, and confirms.
async function press(page, name, number) {
    await page.getByRole('button', { name: `${name} …`, exact: true }).click();
    const form = page.locator('.asking').filter({ has: page.getByRole('button', { name, exact: true }) });
    if (number) await form.locator('input').fill(number);
    await form.getByRole('button', { name, exact: true }).click();
}

// Runs a command of the caller, and answers when it was begun.
async function kill(command) {
    const since = performance.now();
    await runFile('/bin/sh', ['-c', command]);
    return since;
}

// The page as it is now on every screen, each drawn from the start.
async function photograph(browser, name) {
    if (!options.screenshots) return;
    for (const [screen, settings] of Object.entries(SCREENS)) {
        const context = await browser.newContext({ ...settings, deviceScaleFactor: screen === 'phone' ? 2 : 1 });
        const page = await context.newPage();
        await page.goto(options.url);
        await page.locator('#sessions-chart path.line').first().waitFor({ state: 'attached', timeout: PATIENCE_MS });
        await shoot(page, `${name}-${screen}`);
        await context.close();
    }
}

async function shoot(page, name) {
    await mkdir(options.screenshots, { recursive: true });
    await page.screenshot({ path: path.join(options.screenshots, `dashboard-${name}.png`), fullPage: true });
}

// Whatever the page may not do: ask elsewhere, break a rule of its own policy, or fail.
function watch(page) {
    const complaints = [];
    page.on('request', (request) => {
        if (new URL(request.url()).host !== new URL(options.url).host) complaints.push(`it asks ${request.url()}`);
    });
    page.on('pageerror', (error) => complaints.push(`it fails: ${error.message}`));
    page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(`it says: ${message.text()}`);
    });
    return complaints;
}

const WHOLE = [
    showsEveryNodeUp,
    drawsALineForEveryNode,
    readsTheChartByPointerAndKeys,
    filtersTheLog,
    fitsAPhone,
    drawsTheRightConclusions,
    showsTextAsText,
    saysWhenNobodyAnswersAndWhenSomebodyDoes,
    offersNothingToStrangers,
    refusesAWrongTicket,
    signsInAndKeepsNoTicket,
    showsWhoWasRefused,
    asksBeforeItDrains,
    drainsAndUndrains,
    rebalances,
];

async function run(scenario, context) {
    try {
        await scenario(context);
        assert.deepEqual(context.complaints, []);
        console.log(`ok ${scenario.name}`);
        return true;
    } catch (error) {
        console.log(`FAIL ${scenario.name}: ${error.message.replaceAll('\n', ' ')}`);
        return false;
    }
}

const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
        '--no-sandbox',
        '--disable-gpu',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
    ],
});
const page = await (await browser.newContext(SCREENS.light)).newPage();
page.setDefaultTimeout(PATIENCE_MS);
const context = { page, complaints: watch(page) };
await page.goto(options.url);

let isWell = true;
for (const scenario of WHOLE) isWell = isWell && (await run(scenario, context));
if (isWell) await photograph(browser, 'whole');
isWell = isWell && (await run(showsAKilledEdge, context));
if (isWell) await photograph(browser, 'down');
// A browser tells of every request to a master that is gone; from here on that is as it should be.
isWell = isWell && (await run(saysThatTheMasterIsGone, { page, complaints: [] }));
await browser.close();
process.exit(isWell ? 0 : 1);
