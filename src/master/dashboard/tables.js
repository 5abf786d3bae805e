// The lower half of the page: the matrix of links, the drops by reason, and the event log.

import { DropRates, isHeard, links, lostLinks, sortedNodes } from './cluster.js';
import { brief, clock, count, duration, element, icon, keep, milliseconds, rate, say, set } from './page.js';

// ---- The matrix: who dials is a row, who is dialled a column

export class Matrix {
    #table = document.getElementById('links');
    #lost = document.getElementById('lost');
    #shape = '';
    #cells = new Map();

    update(status) {
        const ids = sortedNodes(status).map((node) => node.id);
        this.#reshape(ids);
        const found = Map.groupBy(links(status), (link) => `${link.from} ${link.peer}`);
        for (const node of status.nodes) {
            for (const peer of ids.filter((id) => id !== node.id)) {
                this.#fill(this.#cells.get(`${node.id} ${peer}`), node, peer, found.get(`${node.id} ${peer}`) ?? []);
            }
        }
        keep(this.#lost, lostLinks(status), (link) => `${link.from} ${link.peer} ${link.realm}`, makeLost);
    }

    // The cells are made when nodes come or go, and only filled in between.
    #reshape(ids) {
        if (this.#shape === ids.join(' ')) return;
        this.#shape = ids.join(' ');
        this.#cells.clear();
        const corner = element('td', { class: 'corner' }, '→');
        const head = element('tr', {}, corner, ...ids.map((id) => element('th', { scope: 'col', title: id }, id)));
        const rows = ids.map((id) =>
            element(
                'tr',
                {},
                element('th', { scope: 'row', title: id }, id),
                ...ids.map((peer) => {
                    const cell = element('td', id === peer ? { class: 'self' } : {});
                    this.#cells.set(`${id} ${peer}`, cell);
                    return cell;
                }),
            ),
        );
        this.#table.replaceChildren(element('thead', {}, head), element('tbody', {}, ...rows));
    }

    // Of several realms, the worst is shown and each is told in the tooltip.
    #fill(cell, node, peer, between) {
        const { mood, text } = verdict(node, between);
        say(cell, text);
        set(cell, 'data-mood', mood);
        const lines = between.map((link) => `${link.realm}: ${describe(link)}`);
        set(cell, 'title', `${node.id} → ${peer}\n${lines.join('\n') || unknown(node)}`);
        set(cell, 'data-link', `${node.id} ${peer}`);
    }
}

function verdict(node, between) {
    if (!isHeard(node)) return { mood: 'unknown', text: '?' };
    if (between.length === 0) return { mood: 'unknown', text: 'none' };
    const down = between.filter((link) => !link.is_up);
    if (down.length > 0) {
        const longest = Math.max(...down.map((link) => link.seconds));
        return { mood: 'bad', text: `✕ ${brief(longest)}` };
    }
    const trips = between.map((link) => link.round_trip_ms).filter((trip) => trip !== null);
    if (trips.length === 0) return { mood: 'good', text: 'up' };
    const slowest = Math.max(...trips);
    return {
        mood: slowest < 2 ? 'good' : slowest < 20 ? 'fair' : 'slow',
        text: milliseconds(slowest).replace(' ms', ''),
    };
}

function unknown(node) {
    return isHeard(node) ? 'It has no such link.' : `Nothing is heard of ${node.id}, so its links are not known.`;
}

function describe(link) {
    if (link.is_up) {
        const inbound = link.is_up_inbound ? '' : '; the link from there is down';
        return `up for ${duration(link.seconds)}, round trip ${milliseconds(link.round_trip_ms)}${inbound}`;
    }
    const why = link.last_error ? `: ${link.last_error}` : '';
    return `down for ${duration(link.seconds)}, ${count(link.attempts)} attempts${why}`;
}

// Tooltips cannot be had on a phone or by keyboard: what is lost stands below the matrix in full.
function makeLost() {
    const [pair, text] = [element('b'), element('span')];
    const update = (link) => {
        say(pair, `${link.from} → ${link.peer}`);
        say(text, `${link.realm} ${describe(link)}`);
    };
    return { root: element('li', { 'data-mood': 'bad' }, icon('down'), pair, ' ', text), update };
}

// ---- Drops

export class Drops {
    #table = document.getElementById('drops');
    #nothing = document.getElementById('no-drops');
    #rates = new DropRates();
    #head = element('tr');
    #body = element('tbody');

    constructor() {
        this.#table.append(element('thead', {}, this.#head), this.#body);
    }

    update(status) {
        const rows = this.#rates.handle(status);
        const ids = sortedNodes(status).map((node) => node.id);
        const columns = ['reason', 'now/s', 'total', ...ids];
        keep(
            this.#head,
            columns,
            (name) => name,
            (name) => ({ root: element('th', { scope: 'col' }, name) }),
        );
        keep(
            this.#body,
            rows.map((row) => ({ ...row, ids })),
            (row) => row.reason,
            makeDropRow,
        );
        this.#table.hidden = rows.length === 0;
        this.#nothing.hidden = rows.length > 0;
    }
}

function makeDropRow({ reason }) {
    const root = element('tr', { 'data-reason': reason }, element('th', { scope: 'row' }, reason));
    const update = (row) => {
        const figures = [
            ['rate', rate(row.perSecond)],
            ['total', count(row.total)],
        ];
        for (const id of row.ids) figures.push([`of ${id}`, count(row.byNode.get(id) ?? 0)]);
        keep(
            root,
            [['reason', reason], ...figures],
            ([key]) => key,
            ([key]) => makeDropCell(key, root.firstChild),
        );
        set(root, 'data-mood', row.perSecond > 0 ? 'warn' : null);
    };
    return { root, update };
}

// The first cell of a row is its head, which says the reason and never changes.
function makeDropCell(key, head) {
    if (key === 'reason') return { root: head };
    const root = element('td');
    const update = ([, text]) => {
        say(root, text);
        set(root, 'class', text === '0' ? 'zero' : null);
    };
    return { root, update };
}

// ---- The event log

// More would make the page slow, and who looks further back asks `crossbarctl`.
const EVENTS_MAX = 500;

export class Log {
    #list = document.getElementById('log');
    #filter = document.getElementById('log-filter');
    #nothing = document.getElementById('no-events');
    #events = new Map();
    #nodes = [];

    constructor() {
        this.#filter.addEventListener('change', () => this.#show());
    }

    // The master sends the latest events; those that came before stay here, so that a busy minute does not push the
    // interesting one away.
    update(status) {
        for (const event of status.events) this.#events.set(event.number, event);
        const numbers = [...this.#events.keys()].sort((a, b) => b - a);
        for (const number of numbers.slice(EVENTS_MAX)) this.#events.delete(number);
        this.#nodes = sortedNodes(status).map((node) => node.id);
        this.#show();
    }

    #show() {
        const events = [...this.#events.values()].sort((a, b) => b.number - a.number);
        const named = new Set([...this.#nodes, ...events.map((event) => event.node).filter(Boolean)]);
        const choices = [['', 'everything'], ['*', 'the cluster'], ...[...named].map((id) => [id, id])];
        keep(
            this.#filter,
            choices,
            ([value]) => value,
            ([value, text]) => ({ root: element('option', { value }, text) }),
        );
        const chosen = this.#filter.value;
        const shown = events.filter((event) => chosen === '' || (event.node ?? '*') === chosen);
        keep(this.#list, shown, (event) => event.number, makeEvent);
        this.#nothing.hidden = shown.length > 0;
    }
}

// Kinds that are states have the colour of the state; others are told apart by their word.
const MOODS = {
    up: 'good',
    link_up: 'good',
    down: 'bad',
    link_lost: 'bad',
    late: 'warn',
    removed: 'warn',
    restarted: 'warn',
    joining: 'busy',
    drain: 'busy',
    draining: 'busy',
    undrain: 'busy',
    rebalance: 'busy',
};

function makeEvent(event) {
    const time = element('time', { datetime: event.at, title: event.at }, clock(event.at));
    const mood = MOODS[event.kind] ?? 'quiet';
    const kind = element('span', { class: 'kind', 'data-mood': mood }, event.kind.replaceAll('_', ' '));
    const text = element('span', { class: 'text' }, ...aboutNode(event));
    return { root: element('li', { 'data-number': event.number }, time, kind, text) };
}

// Every line names its node once, in bold: most texts begin with it.
function aboutNode({ node, text }) {
    if (!node) return [text];
    const rest = text.startsWith(`${node} `) ? text.slice(node.length) : ` ${text}`;
    return [element('b', {}, node), rest];
}
