// The upper half of the page: the headline with its totals and notices, and one card per edge under its host.

import { headline, hosts, isHeard, linkCount, notOffered, notRun, seriesOf, unevenness } from './cluster.js';
import {
    brief,
    bytes,
    clock,
    count,
    drawing,
    duration,
    element,
    fact,
    icon,
    keep,
    plural,
    rate,
    say,
    set,
} from './page.js';

const STATE_HELP = {
    joining: 'It has been admitted and is on its way into the mesh.',
    up: 'It says every second that it is well.',
    late: 'It has missed its last heartbeats.',
    draining: 'It lets its clients go and takes no new ones.',
    down: 'Nothing is heard of it.',
};

// ---- The headline

export class Summary {
    #headline = document.getElementById('headline');
    #notices = document.getElementById('notices');
    #totals = {};

    constructor() {
        const rows = [
            ['nodes', 'Edges up'],
            ['links', 'Links up', 'One link per edge, peer and realm, in each direction'],
            ['sessions', 'Sessions'],
            ['events', 'Events/s', 'EVENTs to clients and peers, per second'],
            ['messages', 'Messages in/s'],
            ['outbox', 'Waiting in outboxes', 'Bytes that wait to be written, all connections together'],
            [
                'even',
                'Off the fair share',
                'How far the edge that is furthest from an equal share of sessions is from it',
            ],
        ];
        for (const [key, name, help] of rows) {
            this.#totals[key] = fact(name, help);
            document.getElementById('totals').append(this.#totals[key].root);
        }
    }

    update(status) {
        const { mood, text } = headline(status);
        say(this.#headline, text);
        set(this.#headline, 'data-mood', mood);
        document.title = mood === 'good' ? 'crossbar-cluster' : `${text} – crossbar-cluster`;
        this.#updateTotals(status);
        keep(this.#notices, notices(status), (notice) => notice.key, makeNotice);
    }

    #updateTotals(status) {
        const { totals } = status;
        const { up, all } = linkCount(status);
        const uneven = unevenness(status);
        const isShort = totals.nodes_up < status.nodes.length;
        this.#totals.nodes.update(count(totals.nodes_up), isShort ? 'warn' : null, count(status.nodes.length));
        this.#totals.links.update(count(up), up < all ? 'warn' : null, count(all));
        this.#totals.sessions.update(count(totals.sessions));
        this.#totals.events.update(rate(totals.events_out));
        this.#totals.messages.update(rate(totals.messages_in));
        this.#totals.outbox.update(bytes(totals.outbox_bytes));
        // 5 % is what a rebalance leaves at most; with few sessions an edge is soon off its share, and nobody minds.
        const isUneven = uneven > 0.05 && totals.sessions >= 100;
        this.#totals.even.update(uneven === null ? '–' : `${(uneven * 100).toFixed(0)} %`, isUneven ? 'warn' : null);
    }
}

// What stands below the headline: skew, a rebalance on its way, and whether a rolling restart may go on.
function notices(status) {
    const found = status.skew.map((text) => ({
        key: `skew ${text}`,
        shape: 'note',
        mood: 'warn',
        title: 'Not alike',
        text,
    }));
    if (status.rebalance) {
        const { started, rounds, moved } = status.rebalance;
        const text = `round ${count(rounds)}, ${plural(moved, 'session')} moved since ${clock(started)}`;
        found.push({ key: 'rebalance', shape: 'even', mood: 'busy', title: 'Rebalancing', text });
    }
    const { is_open: isOpen, waits_for: waitsFor } = status.gate;
    const text = isOpen ? 'may go on' : `must wait: ${waitsFor ?? 'the master does not say for what'}`;
    const shape = isOpen ? 'open' : 'wait';
    found.push({ key: `gate ${isOpen}`, shape, mood: isOpen ? 'quiet' : 'warn', title: 'Rolling restart', text });
    return found;
}

function makeNotice(first) {
    const text = element('span');
    const root = element(
        'li',
        { 'data-mood': first.mood },
        icon(first.shape),
        element('b', {}, first.title),
        ' ',
        text,
    );
    return { root, update: (notice) => say(text, notice.text) };
}

// ---- Hosts and their edges

// Keeps the cards; `steer(slot, node)` puts the buttons of those who may into each card.
export class Hosts {
    #root = document.getElementById('hosts');

    constructor(steer) {
        this.steer = steer;
    }

    update(status) {
        const series = seriesOf(status.nodes.map((node) => node.id));
        const shown = hosts(status).map((host) => ({ ...host, series }));
        keep(
            this.#root,
            shown,
            (host) => host.name,
            () => this.#makeHost(),
        );
    }

    #makeHost() {
        const name = element('b');
        const about = element('span');
        const cards = element('div', { class: 'cards' });
        const root = element('section', { class: 'host' }, element('h2', {}, name, ' ', about), cards);
        const update = (host) => {
            say(name, host.name);
            const up = host.nodes.filter((node) => node.state === 'up').length;
            say(about, `${up} of ${plural(host.nodes.length, 'edge')} up`);
            root.style.setProperty('--edges', host.nodes.length);
            keep(
                cards,
                host.nodes,
                (node) => node.id,
                (node) => this.#makeCard(node, host.series),
            );
            for (const node of host.nodes) set(cards.kept.get(node.id).swatch, 'data-series', host.series.get(node.id));
        };
        return { root, update };
    }

    #makeCard(node) {
        const swatch = element('i', { class: 'swatch', 'aria-hidden': 'true' });
        const badge = makeBadge();
        const reason = element('p', { class: 'reason' });
        const figures = makeFigures();
        const more = makeMore();
        const steering = element('div', { class: 'steering' });
        const title = element('h3', {}, swatch, node.id);
        const head = element('div', { class: 'titled' }, title, badge.root);
        const attributes = { class: 'card', 'aria-label': node.id, 'data-node': node.id };
        const root = element('article', attributes, head, reason, figures.root, more.root, steering);
        const update = (now) => {
            set(root, 'data-state', now.state);
            set(root, 'data-heard', isHeard(now) ? 'yes' : 'no');
            badge.update(now.state);
            say(reason, explain(now));
            figures.update(now);
            more.update(now);
            this.steer(steering, now);
        };
        return { root, update, swatch };
    }
}

function makeBadge() {
    const root = element('span', { class: 'badge' });
    const update = (state) => {
        if (root.dataset.state === state) return;
        set(root, 'data-state', state);
        set(root, 'title', STATE_HELP[state]);
        root.replaceChildren(icon(state), state);
    };
    return { root, update };
}

// Since when, and why it is as it is; and how old the figures are when they are old.
function explain(node) {
    const since = `since ${clock(node.since)} (${brief(node.state_seconds)})`;
    const silence = !node.heartbeat
        ? ' · not heard of since the master started'
        : node.silent_seconds > 2
          ? ` · silent for ${duration(node.silent_seconds)}`
          : '';
    const why = notOffered(node);
    const offer = why ? `not offered clients: ${why} · ` : '';
    const behind = notRun(node);
    const run = behind ? `does not run its configuration file: ${behind} · ` : '';
    return `${offer}${run}${node.reason ? `${node.reason} · ` : ''}${since}${silence}`;
}

// The figures of a card. Those that come close to a limit are marked, and those with a limit have a bar.
function makeFigures() {
    const root = element('dl', { class: 'facts' });
    const add = (name, help) => {
        const made = fact(name, help);
        root.append(made.root);
        return made.update;
    };
    const sessions = add('Sessions');
    const events = add('Events/s', 'EVENTs to clients and peers, per second');
    const cpu = add('CPU cores', 'Cores that are busy');
    const memory = add('Memory', 'Resident memory');
    const files = add('Descriptors', 'Open file descriptors, and the most that may be open');
    const outbox = add('Fullest outbox', 'Bytes that wait to be written to the slowest receiver, and to all');
    const drops = add('Drops/s', 'Connections ended and messages not delivered, per second');
    const uptime = add('Up for');
    const version = add('Version');
    const bar = makeBar();
    root.children[4].append(bar.root);
    const update = (node) => {
        const { status, counters } = node.heartbeat ?? {};
        const rates = node.heartbeat ? node.rates : {};
        const used = counters ? counters.open_files / counters.open_files_max : 0;
        sessions(count(status?.sessions));
        events(rate(rates.events_out));
        cpu(rates.cpu === undefined ? '–' : rates.cpu.toFixed(2));
        memory(bytes(counters?.resident_bytes));
        files(count(counters?.open_files), used > 0.8 ? 'warn' : null, counters && count(counters.open_files_max));
        bar.update(used);
        const isPressed = counters?.outbox_bytes_fullest >= 1 << 20;
        outbox(
            bytes(counters?.outbox_bytes_fullest),
            isPressed ? 'warn' : null,
            counters && bytes(counters.outbox_bytes),
        );
        drops(rate(rates.drops), rates.drops > 0 ? 'warn' : null);
        uptime(duration(status?.uptime_seconds));
        version(status?.version ?? '–');
    };
    return { root, update };
}

function makeBar() {
    const fill = drawing('rect', { class: 'fill', height: '4', rx: '2', width: '0' });
    const back = drawing('rect', { class: 'back', height: '4', rx: '2', width: '100%' });
    const root = drawing('svg', { class: 'bar-figure', height: '4', width: '100%', 'aria-hidden': 'true' }, back, fill);
    const update = (fraction) => {
        set(fill, 'width', `${(Math.min(1, fraction) * 100).toFixed(1)}%`);
        set(root, 'data-mood', fraction > 0.8 ? 'warn' : null);
    };
    return { root, update };
}

// What is looked up now and then: where it is, who it is, what it listens on, its realms.
function makeMore() {
    const rows = element('dl', { class: 'more' });
    const root = element('details', {}, element('summary', {}, 'Details'), rows);
    const makeRow = () => {
        const row = fact('');
        return { root: row.root, update: ([name, text]) => (say(row.root.firstChild, name), row.update(text)) };
    };
    const update = (node) => {
        if (root.open) keep(rows, details(node), ([name]) => name, makeRow);
    };
    root.addEventListener('toggle', () => update(root.node));
    return { root, update: (node) => update((root.node = node)) };
}

function details(node) {
    const { status, counters, config_digest: digest } = node.heartbeat ?? {};
    const found = [
        ['Address', node.address],
        ['Public key', node.public_key],
    ];
    if (!status) return found;
    found.push(
        ['Program', `${status.program} ${status.version}, PID ${status.pid}`],
        ['Started', clock(status.started)],
    );
    found.push(['Configuration', digest], ['Connections', count(status.connections)]);
    found.push(['Events wait', `at most ${status.event_delay_ms.toFixed(1)} ms for company`]);
    found.push(['Publishers stalled', plural(counters.publisher_stalls, 'time')]);
    for (const { address, connections, handshakes } of status.listeners) {
        found.push([`Listener ${address}`, `${plural(connections, 'connection')}, ${plural(handshakes, 'handshake')}`]);
    }
    const { answer, answered_seconds: age } = status.balancer ?? {};
    if (answer) found.push(['Load balancer was told', `“${answer}” ${duration(age)} ago`]);
    for (const { name, sessions, subscriptions, registrations } of status.realms) {
        const kept = `${plural(subscriptions, 'subscription')}, ${plural(registrations, 'registration')}`;
        found.push([`Realm ${name}`, `${plural(sessions, 'session')}, ${kept}`]);
    }
    return found;
}
