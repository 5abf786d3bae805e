// The live dashboard of the master: asks it every second how the cluster is, and shows the answer.
//
// The parts: `cluster.js` draws conclusions, `nodes.js`, `charts.js`, `tables.js` and `refusals.js` show, `control.js`
// steers over the session of `wamp.js`, `page.js` makes elements and words. There is no framework and no build: what is
// served is the source.

import { Chart } from './charts.js';
import { Control } from './control.js';
import { Hosts, Summary } from './nodes.js';
import { count, duration, rate, say, set } from './page.js';
import { Refusals } from './refusals.js';
import { Drops, Log, Matrix } from './tables.js';

const STATUS_MS = 1_000;
const HISTORY_MS = 5_000;
const REFUSALS_MS = 10_000;
// A master that takes longer than this to answer a small question is in trouble, and is said to be.
const TIMEOUT_MS = 1_500;

class Dashboard {
    #status = null;
    #answeredAt = null;
    #failure = null;
    #trouble = document.getElementById('trouble');
    #pulse = document.getElementById('pulse');
    #master = document.getElementById('master');
    #known = document.getElementById('known');

    constructor() {
        this.control = new Control(() => this.#changeHands());
        this.refusals = new Refusals(() => this.control.refusals);
        this.hosts = new Hosts((slot, node) => this.control.steer(slot, node));
        this.parts = [new Summary(), this.hosts, this.control, new Matrix(), new Drops(), new Log()];
        this.charts = [
            new Chart('sessions-chart', 'Sessions per edge', (node) => node.sessions, count),
            new Chart('events-chart', 'Events/s per edge', (node) => node.events_out, rate),
        ];
    }

    start() {
        every(STATUS_MS, () => this.#askStatus());
        every(HISTORY_MS, () => this.#askHistory());
        every(REFUSALS_MS, () => this.refusals.refresh());
    }

    // Somebody has signed in or out.
    #changeHands() {
        if (this.#status) this.hosts.update(this.#status);
        this.refusals.refresh();
    }

    async #askStatus() {
        try {
            this.#show(await ask('/api/cluster'));
            this.#failure = null;
        } catch (error) {
            this.#failure = error.message;
        }
        this.#showFreshness();
    }

    // A history that fails says nothing of its own: the status fails with it.
    async #askHistory() {
        const history = await ask('/api/history').catch(() => null);
        if (history) for (const chart of this.charts) chart.update(history);
    }

    #show(status) {
        try {
            const { hostname, version, uptime_seconds: uptime, membership } = status.master;
            say(
                this.#master,
                `master on ${hostname} · ${version} · up for ${duration(uptime)} · membership ${membership}`,
            );
            for (const part of this.parts) part.update(status);
        } catch (error) {
            // A master of another version: better to say so than to look well with half of the truth.
            throw new Sentence(`This page cannot show what the master answers (${error.message}); reload it.`);
        }
        this.#status = status;
        this.#answeredAt = performance.now();
        set(this.#known, 'data-empty', null);
        document.getElementById('asking')?.remove();
    }

    // Old figures must not pass for new ones: what is shown turns pale, and the page says since when.
    #showFreshness() {
        const isFresh = this.#failure === null;
        set(this.#known, 'data-stale', isFresh ? null : 'yes');
        set(this.#trouble, 'hidden', isFresh);
        set(this.#pulse, 'data-mood', isFresh ? 'good' : 'bad');
        if (isFresh) {
            say(this.#pulse, `live · ${new Date().toLocaleTimeString('en-GB')}`);
            // Emptied, so that the next trouble is read out as a new one.
            say(this.#trouble, '');
            return;
        }
        const age = this.#answeredAt === null ? null : (performance.now() - this.#answeredAt) / 1000;
        say(this.#pulse, age === null ? 'no answer yet' : `as of ${duration(age)} ago`);
        // Without a figure that counts: an alert is read out whenever it changes.
        const shown = age === null ? '' : ' What is shown below is what it said last.';
        say(this.#trouble, `${this.#failure}${shown} Asking again every second.`);
        document.title = 'The master does not answer – crossbar-cluster';
    }
}

// Asks the master; is rejected with a sentence when it does not answer, not in time or not what was asked.
async function ask(path) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
    try {
        const response = await fetch(path, { signal: abort.signal, cache: 'no-store' });
        if (!response.ok)
            throw new Sentence(`The master answers ${path} with ${response.status} ${response.statusText}.`);
        return await response.json();
    } catch (error) {
        if (error instanceof Sentence) throw error;
        if (error instanceof SyntaxError) throw new Sentence(`What the master answers to ${path} is not JSON.`);
        throw new Sentence(
            abort.signal.aborted ? 'The master does not answer in time.' : 'The master cannot be reached.',
        );
    } finally {
        clearTimeout(timer);
    }
}

class Sentence extends Error {}

// Does it now and then once per period, by the period's own beat; a slow answer makes it skip beats rather than pile
// up. Returning to a page that was in the background asks at once.
function every(period, act) {
    let isBusy = false;
    const turn = async () => {
        if (isBusy) return;
        isBusy = true;
        await act().finally(() => (isBusy = false));
    };
    setInterval(turn, period);
    document.addEventListener('visibilitychange', () => !document.hidden && turn());
    turn();
}

new Dashboard().start();
