// Making elements and words: what every part of the dashboard writes with.
//
// All that is shown goes through `textContent` or `setAttribute`, never through markup, so that nothing that a node
// says can become part of the page. Nothing sets a `style` attribute: the policy of the page forbids it.

const SVG = 'http://www.w3.org/2000/svg';

// An element with a class, attributes and children (strings become text).
export function element(tag, { class: name, ...attributes } = {}, ...children) {
    return fill(document.createElement(tag), name, attributes, children);
}

export function drawing(tag, { class: name, ...attributes } = {}, ...children) {
    return fill(document.createElementNS(SVG, tag), name, attributes, children);
}

function fill(made, name, attributes, children) {
    if (name) made.setAttribute('class', name);
    for (const [key, value] of Object.entries(attributes)) set(made, key, value);
    made.append(...children);
    return made;
}

// One of the symbols that index.html defines.
export function icon(name) {
    const use = drawing('use', { href: `#icon-${name}` });
    return drawing('svg', { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true' }, use);
}

// Sets, or takes away, an attribute; touches the page only when it changes, so that nothing flickers or is read out
// anew.
export function set(target, key, value) {
    if (value === null || value === undefined || value === false) {
        if (target.hasAttribute(key)) target.removeAttribute(key);
        return;
    }
    const text = value === true ? '' : String(value);
    if (target.getAttribute(key) !== text) target.setAttribute(key, text);
}

export function say(target, text) {
    if (target.textContent !== String(text)) target.textContent = text;
}

// Keeps one child of `parent` per item, in the order of the items. A child is made once and then only updated, so
// focus, open details and half-typed numbers outlive the refresh of every second.
export function keep(parent, items, keyOf, make) {
    const known = (parent.kept ??= new Map());
    const wanted = new Set(items.map(keyOf));
    // First what goes: else what stays would be moved past it, and what is moved loses the focus.
    for (const [key, { root }] of known) {
        if (wanted.has(key)) continue;
        root.remove();
        known.delete(key);
    }
    let place = parent.firstChild;
    for (const item of items) {
        const key = keyOf(item);
        if (!known.has(key)) known.set(key, make(item));
        const { root, update } = known.get(key);
        update?.(item);
        if (root === place) place = place.nextSibling;
        else parent.insertBefore(root, place);
    }
}

// A term and what it is; `update` says it anew, with a mood and with what it is a part of.
export function fact(name, help) {
    const [value, whole] = [element('span'), element('small')];
    const description = element('dd', {}, value, whole);
    const root = element('div', { class: 'fact', title: help }, element('dt', {}, name), description);
    const update = (text, mood, of) => {
        say(value, text);
        say(whole, of ? ` of ${of}` : '');
        set(description, 'data-mood', mood);
    };
    return { root, update };
}

// ---- Words for figures. What is not known is a dash, never a zero.

const DASH = '–';
const whole = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 0 });

export function count(value) {
    return value === null || value === undefined ? DASH : whole.format(value);
}

export function plural(number, one, many = `${one}s`) {
    return `${count(number)} ${number === 1 ? one : many}`;
}

// Three digits are enough to steer by: 0.25, 7.5, 420, 12,300, 1.24 M.
export function rate(value) {
    if (value === null || value === undefined) return DASH;
    if (value === 0) return '0';
    if (value < 1) return value.toFixed(2);
    if (value < 10) return value.toFixed(1);
    if (value < 1e6) return whole.format(value);
    return `${(value / 1e6).toFixed(2)} M`;
}

export function bytes(value) {
    if (value === null || value === undefined) return DASH;
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let unit = 0;
    while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
    return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}

// The two largest units, like `3 h 4 min`.
export function duration(seconds) {
    if (seconds === null || seconds === undefined) return DASH;
    const total = Math.floor(seconds);
    const [days, hours, minutes] = [
        Math.floor(total / 86400),
        Math.floor(total / 3600) % 24,
        Math.floor(total / 60) % 60,
    ];
    if (days > 0) return `${days} d ${hours} h`;
    if (hours > 0) return `${hours} h ${minutes} min`;
    if (minutes > 0) return `${minutes} min ${total % 60} s`;
    return `${total} s`;
}

// Only the largest unit.
export function brief(seconds) {
    return duration(seconds).split(' ', 2).join(' ');
}

export function milliseconds(value) {
    if (value === null || value === undefined) return DASH;
    return value < 10 ? `${value.toFixed(2)} ms` : `${count(value)} ms`;
}

const timeFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayFormat = new Intl.DateTimeFormat('en-GB', {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
});

// The time of day where the reader is; of another day, that and the minute.
export function clock(time) {
    const date = new Date(time);
    if (Number.isNaN(date.getTime())) return String(time);
    const isToday = date.toDateString() === new Date().toDateString();
    return isToday ? timeFormat.format(date) : dayFormat.format(date).replace(',', '');
}

// The hour and minute, for the axis of a chart.
export function minute(time) {
    return timeFormat.format(new Date(time)).slice(0, 5);
}

// `a`, `a and b`, `a, b and c`, `a, b and 7 more`.
export function list(words) {
    if (words.length > 4) return `${words.slice(0, 2).join(', ')} and ${words.length - 2} more`;
    if (words.length < 2) return words.join('');
    return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
