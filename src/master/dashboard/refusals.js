// Who was refused lately, by which node, and why. The master tells that to operators alone, so this part of the page is
// there for those who have signed in.

import { clock, count, element, keep, plural, say } from './page.js';

// All that the master keeps, so that what is searched for is found. It sends at most 400 KiB.
const ASKED_MAX = 1_000;
// More rows would make the page slow; who wants others searches.
const SHOWN_MAX = 200;

const COLUMNS = ['time', 'node', 'reason', 'times', 'realm', 'session', 'authid', 'role', 'peer', 'what', 'why'];

export class Refusals {
    #call;
    #panel = document.getElementById('refusals-panel');
    #search = document.getElementById('refusals-search');
    #shown = document.getElementById('refusals-shown');
    #table = document.getElementById('refusals');
    #nothing = document.getElementById('no-refusals');
    #body = element('tbody');
    // The newest first.
    #rows = [];

    // `call(wanted)` asks the master; null where nobody has signed in.
    constructor(call) {
        this.#call = call;
        const head = element('tr', {}, ...COLUMNS.map((name) => element('th', { scope: 'col' }, name)));
        this.#table.append(element('thead', {}, head), this.#body);
        this.#search.addEventListener('input', () => this.#show());
    }

    // Asks anew. Whoever has signed out meanwhile is shown nothing of the answer.
    async refresh() {
        if (this.#call() === null) return this.#leave();
        if (document.hidden) return undefined;
        let trouble = null;
        try {
            const rows = await this.#call()({ limit: ASKED_MAX });
            this.#rows = rows.map(readable).reverse();
        } catch (error) {
            trouble = error.message;
        }
        return this.#call() === null ? this.#leave() : this.#show(trouble);
    }

    #leave() {
        this.#panel.hidden = true;
        this.#rows = [];
        this.#search.value = '';
        this.#show();
    }

    #show(trouble = null) {
        const words = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
        const found = this.#rows.filter((row) => words.every((word) => row.searched.includes(word)));
        const shown = found.slice(0, SHOWN_MAX);
        keep(this.#body, shown, (row) => row.key, makeRow);
        this.#table.hidden = shown.length === 0;
        const nothing = this.#rows.length > 0 ? 'No refusal has all these words.' : 'Nothing was refused lately.';
        say(this.#nothing, trouble ?? nothing);
        this.#nothing.hidden = trouble === null && shown.length > 0;
        const of = found.length > shown.length ? ` of ${count(found.length)}` : '';
        say(this.#shown, shown.length > 0 ? `the latest ${count(shown.length)}${of}, the newest first` : '');
        this.#panel.hidden = this.#call() === null;
    }
}

// A row in words, one per column, and all of them as one text to search in.
function readable(row) {
    const date = new Date(row.at_us / 1000);
    const isTime = !Number.isNaN(date.getTime());
    const cells = {
        time: isTime ? clock(date) : '–',
        node: row.node,
        reason: row.reason,
        times: count(row.times),
        realm: row.realm,
        session: row.session,
        authid: row.authid,
        role: row.authrole,
        peer: row.peer,
        what: [row.action, row.uri].filter(Boolean).join(' '),
        why: row.text,
    };
    const words = COLUMNS.map((name) => String(cells[name] || '–'));
    return {
        key: `${row.number} ${row.node}`,
        words,
        // The time is found by nobody's name.
        searched: words.slice(1).join('\n').toLowerCase(),
        at: isTime ? date.toISOString() : null,
    };
}

function makeRow({ words, at }) {
    const [time, ...rest] = words;
    const cells = rest.map((text, place) => element('td', { 'data-column': COLUMNS[place + 1] }, text));
    const first = element('td', { 'data-column': 'time' }, element('time', { datetime: at, title: at }, time));
    return { root: element('tr', {}, first, ...cells) };
}
