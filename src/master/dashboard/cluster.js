// What follows from a status of the cluster: the sentence at the top, which links are lost, how even the load is.
// Pure functions of what `/api/cluster` answers; nothing here knows the page.

import { list, plural } from './page.js';

const inOrder = new Intl.Collator('en', { numeric: true }).compare;

// The nodes by name, edge2 before edge10, so that everything stands where it stood a second ago.
export function sortedNodes(status) {
    return [...status.nodes].sort((a, b) => inOrder(a.id, b.id));
}

// A node that is down has said its last word a while ago: what it said of its links is no longer so.
export function isHeard(node) {
    return node.heartbeat !== null && node.state !== 'down';
}

// The host of a node: what it calls itself or, before its first word, where the others would dial it.
export function hostOf(node) {
    return node.heartbeat?.status.hostname || node.address.replace(/:\d+$/, '') || 'unknown host';
}

export function hosts(status) {
    const found = new Map();
    for (const node of sortedNodes(status)) {
        const name = hostOf(node);
        if (!found.has(name)) found.set(name, { name, nodes: [] });
        found.get(name).nodes.push(node);
    }
    return [...found.values()].sort((a, b) => inOrder(a.name, b.name));
}

// All links between nodes of the cluster that are heard of: one per dialling node, peer and realm. A link is excused
// where one of its ends is on its way or gone: that it is not up follows from the end.
export function links(status) {
    const isWell = new Map(status.nodes.map((node) => [node.id, ['up', 'draining'].includes(node.state)]));
    return sortedNodes(status)
        .filter(isHeard)
        .flatMap((node) =>
            node.heartbeat.status.mesh.links
                .filter((link) => isWell.has(link.peer))
                .map((link) => ({ ...link, from: node.id, isExcused: !isWell.get(node.id) || !isWell.get(link.peer) })),
        );
}

// How many links are up, of how many that should be. A node that is down has none up, but is missed with all that it
// had.
export function linkCount(status) {
    const heard = links(status);
    const missed = status.nodes
        .filter((node) => node.heartbeat && !isHeard(node))
        .reduce((sum, node) => sum + node.heartbeat.status.mesh.links.length, 0);
    return { up: heard.filter((link) => link.is_up).length, all: heard.length + missed };
}

// Links that are down although both ends are well.
export function lostLinks(status) {
    return links(status).filter((link) => !link.is_up && !link.isExcused);
}

// Why the load balancer sends nobody to a node that is up; null where it does, or where nobody knows.
export function notOffered(node) {
    return node.state === 'up' ? (node.heartbeat?.status.balancer?.not_offered ?? null) : null;
}

// Why a node that is heard of does not run what its configuration file says; null where it does, or does not tell.
export function notRun(node) {
    return isHeard(node) ? (node.heartbeat?.status.not_run ?? null) : null;
}

// How far the busiest and the idlest of the nodes that take clients are from the fair share, as a fraction of it;
// null where there is nothing to share.
export function unevenness(status) {
    const sessions = status.nodes
        .filter((node) => node.state === 'up' && node.heartbeat)
        .map((node) => node.heartbeat.status.sessions);
    const fair = sessions.reduce((sum, one) => sum + one, 0) / sessions.length;
    if (sessions.length < 2 || fair === 0) return null;
    return Math.max(...sessions.map((one) => Math.abs(one - fair) / fair));
}

// The headline: how bad it is, and what it is. It holds no figure that changes while nothing happens, because a
// screen reader says it aloud whenever it changes.
export function headline(status) {
    const total = status.nodes.length;
    if (total === 0) return { mood: 'quiet', text: 'No edge has been admitted yet.' };
    const named = (state) =>
        sortedNodes(status)
            .filter((node) => node.state === state)
            .map((node) => node.id);
    const lost = lostLinks(status);
    const unoffered = sortedNodes(status).filter((node) => notOffered(node) !== null);
    const clauses = [
        ...are(named('down'), 'down'),
        ...are(named('late'), 'late'),
        ...lostClause(lost),
        ...are(
            unoffered.map((node) => node.id),
            'not offered clients',
        ),
        ...are(
            [
                ...(status.master.not_run ? ['the master'] : []),
                ...sortedNodes(status)
                    .filter((node) => notRun(node) !== null)
                    .map((node) => node.id),
            ],
            'not as configured',
        ),
    ];
    const mood = named('down').length + lost.length > 0 ? 'bad' : clauses.length > 0 ? 'warn' : 'busy';
    clauses.push(...are(named('joining'), 'joining'), ...are(named('draining'), 'draining'));
    const edges = plural(total, 'edge');
    if (clauses.length > 0) return { mood, text: `${sentence(clauses)}; ${named('up').length} of ${edges} up.` };
    if (status.skew.length > 0) return { mood: 'warn', text: `${edges} up, but they are not alike.` };
    return { mood: 'good', text: `The cluster is whole: ${edges} up, ${plural(links(status).length, 'link')} up.` };
}

function are(ids, what) {
    return ids.length === 0 ? [] : [`${list(ids)} ${ids.length > 1 ? 'are' : 'is'} ${what}`];
}

function lostClause(lost) {
    const pairs = [...new Set(lost.map((link) => `${link.from} → ${link.peer}`))];
    if (pairs.length === 0) return [];
    return [pairs.length > 1 ? `links ${list(pairs)} are lost` : `the link ${pairs[0]} is lost`];
}

// Clauses as one sentence without its full stop.
function sentence(clauses) {
    const text = clauses.length > 1 ? `${clauses.slice(0, -1).join(', ')} and ${clauses.at(-1)}` : clauses[0];
    // An id is shown as it is written, so only words of this page get a capital.
    return /^(the |links )/.test(text) ? text[0].toUpperCase() + text.slice(1) : text;
}

// Which curve, colour and swatch a node has, everywhere on the page.
export function seriesOf(ids) {
    return new Map([...ids].sort(inOrder).map((id, place) => [id, place % 8]));
}

// How fast each reason of drops grows. Counters are only ever summed by the nodes, so the rate comes from comparing
// with what was said up to ten seconds ago; a node that was restarted counts from zero, and then nothing is compared.
export class DropRates {
    #samples = [];

    // Takes a status in, and answers rows { reason, perSecond, total, byNode }, the fastest first.
    handle(status) {
        const now = { at: Date.parse(status.master.now) / 1000, nodes: new Map() };
        for (const node of status.nodes.filter((one) => one.heartbeat)) {
            now.nodes.set(node.id, node.heartbeat.counters.drops);
        }
        this.#samples = this.#samples.filter((old) => old.at > now.at - 11 && old.at < now.at);
        const before = this.#samples[0];
        this.#samples.push(now);
        const rows = new Map();
        for (const [id, drops] of now.nodes) {
            for (const [reason, total] of Object.entries(drops)) {
                if (!rows.has(reason)) rows.set(reason, { reason, perSecond: 0, total: 0, byNode: new Map() });
                const row = rows.get(reason);
                const earlier = before?.nodes.has(id) ? (before.nodes.get(id)[reason] ?? 0) : total;
                row.total += total;
                row.byNode.set(id, total);
                if (before) row.perSecond += Math.max(0, total - earlier) / (now.at - before.at);
            }
        }
        return [...rows.values()].sort((a, b) => b.perSecond - a.perSecond || b.total - a.total);
    }
}
