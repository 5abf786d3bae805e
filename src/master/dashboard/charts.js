// Line charts of the last hour, drawn as SVG in real pixels: one line per node, gaps where nothing is known.
//
// The legend is the read-out: it shows the latest values, or those under the pointer (a finger will do) or, by arrow
// keys, under the cursor. So nothing floats over the lines, and values are text rather than colour.

import { seriesOf } from './cluster.js';
import { clock, drawing, element, keep, minute, plural, say, set } from './page.js';

const HEIGHT = 165;
const MARGIN = { top: 10, right: 14, bottom: 22, left: 50 };
const HOUR = 3600;
const SPAN_MIN = 600;

export class Chart {
    #pick;
    #format;
    #history = null;
    #width = 600;
    // The place of the cursor in the history; null shows the latest values.
    #cursor = null;

    // `pick` takes the values out of a node's history, `format` writes one of them.
    constructor(id, title, pick, format) {
        this.#pick = pick;
        this.#format = format;
        this.time = element('small');
        this.legend = element('ul', { class: 'legend' });
        this.svg = drawing('svg', { class: 'chart', height: HEIGHT, role: 'img' });
        this.frame = element(
            'div',
            { class: 'frame', tabindex: '0', role: 'group', 'aria-label': `${title}; arrow keys move the cursor` },
            this.svg,
        );
        this.title = title;
        const panel = document.getElementById(id);
        panel.setAttribute('aria-label', title);
        panel.append(element('h2', {}, title, ' ', this.time), this.legend, this.frame);
        this.#listen();
    }

    update(history) {
        this.#history = history;
        this.#draw();
    }

    #listen() {
        new ResizeObserver(([{ contentRect }]) => {
            this.#width = Math.max(240, Math.round(contentRect.width));
            this.#draw();
        }).observe(this.frame);
        this.frame.addEventListener('pointermove', (event) => this.#point(this.#placeAt(event)));
        this.frame.addEventListener('pointerdown', (event) => this.#point(this.#placeAt(event)));
        this.frame.addEventListener('pointerleave', () => this.#point(null));
        this.frame.addEventListener('blur', () => this.#point(null));
        this.frame.addEventListener('keydown', (event) => this.#key(event));
    }

    // Only the arrow keys that were meant for the chart are taken.
    #key(event) {
        const last = (this.#history?.times.length ?? 0) - 1;
        const from = this.#cursor ?? last;
        const step = event.shiftKey ? 60 : 12;
        const to = { ArrowLeft: from - step, ArrowRight: from + step, Home: 0, End: last, Escape: null }[event.key];
        if (to === undefined || last < 0) return;
        event.preventDefault();
        this.#point(to === null ? null : Math.min(last, Math.max(0, to)));
        // What a sighted reader sees move is said aloud only for those who move it by keys.
        set(this.legend, 'aria-live', 'polite');
    }

    #point(place) {
        if (place === this.#cursor) return;
        this.#cursor = place;
        set(this.legend, 'aria-live', null);
        this.#readOut();
    }

    #placeAt(event) {
        const times = this.#history?.times ?? [];
        if (times.length === 0) return null;
        const wanted = this.#scale().timeAt(event.clientX - this.svg.getBoundingClientRect().left);
        const place = Math.round((wanted - times[0]) / (this.#history.step_seconds || 1));
        return Math.min(times.length - 1, Math.max(0, place));
    }

    // How much time is shown: the last hour, or less where less is known, as after a restart of the master.
    #span() {
        const { times } = this.#history;
        return Math.min(HOUR, Math.max(SPAN_MIN, (times.at(-1) ?? 0) - (times[0] ?? 0)));
    }

    // Where times and values are in the picture.
    #scale() {
        const { times, nodes } = this.#history;
        const end = times.at(-1) ?? 0;
        const start = end - this.#span();
        const values = nodes.flatMap((node) => this.#pick(node)).filter((value) => value !== null);
        const top = niceTop(values.reduce((most, value) => Math.max(most, value), 0));
        const [width, height] = [this.#width - MARGIN.left - MARGIN.right, HEIGHT - MARGIN.top - MARGIN.bottom];
        return {
            start,
            end,
            top,
            x: (time) => MARGIN.left + ((time - start) / (end - start || 1)) * width,
            y: (value) => MARGIN.top + height - (value / top) * height,
            timeAt: (x) => start + ((x - MARGIN.left) / width) * (end - start),
        };
    }

    #draw() {
        if (!this.#history) return;
        set(this.svg, 'viewBox', `0 0 ${this.#width} ${HEIGHT}`);
        set(this.svg, 'width', this.#width);
        const scale = this.#scale();
        const series = seriesOf(this.#history.nodes.map((node) => node.id));
        const lines = this.#history.nodes.map((node) =>
            drawing('path', {
                class: 'line',
                'data-series': series.get(node.id),
                d: path(this.#history.times, this.#pick(node), scale, this.#history.step_seconds),
            }),
        );
        this.cursor = drawing('g', { class: 'cursor' });
        this.svg.replaceChildren(this.#grid(scale), ...lines, this.cursor);
        this.#readOut();
    }

    #grid(scale) {
        const grid = drawing('g', { class: 'grid' });
        for (const part of [0, 0.25, 0.5, 0.75, 1]) {
            const y = scale.y(part * scale.top);
            grid.append(drawing('line', { x1: MARGIN.left, x2: this.#width - MARGIN.right, y1: y, y2: y }));
            const label = { x: MARGIN.left - 6, y: y + 4, 'text-anchor': 'end' };
            if ((part * 2) % 1 === 0) grid.append(drawing('text', label, this.#format(part * scale.top)));
        }
        // Times at which a clock shows something round, as many as there is room for.
        const places = Math.min(5, Math.floor(this.#width / 65));
        const step = [120, 300, 900, 1800].find((one) => (scale.end - scale.start) / one <= places) ?? HOUR;
        for (let time = Math.ceil(scale.start / step) * step; time <= scale.end; time += step) {
            const [x, bottom] = [scale.x(time), HEIGHT - MARGIN.bottom];
            if (x > this.#width - MARGIN.right - 14 || x < MARGIN.left + 10) continue;
            grid.append(drawing('line', { x1: x, x2: x, y1: bottom, y2: bottom + 4 }));
            grid.append(drawing('text', { x, y: HEIGHT - 5, 'text-anchor': 'middle' }, minute(time * 1000)));
        }
        return grid;
    }

    // Fills the legend, and draws the cursor where there is one.
    #readOut() {
        if (!this.#history) return;
        const { times, nodes } = this.#history;
        const place = this.#cursor ?? times.length - 1;
        const series = seriesOf(nodes.map((node) => node.id));
        say(this.time, this.#cursor === null ? this.#describeSpan() : `at ${clock(times[place] * 1000)}`);
        const entries = nodes.map((node) => ({
            id: node.id,
            series: series.get(node.id),
            value: this.#pick(node)[place] ?? null,
        }));
        keep(
            this.legend,
            entries,
            (entry) => entry.id,
            (entry) => this.#makeEntry(entry),
        );
        const read = entries.map((entry) => `${entry.id} ${this.#write(entry.value)}`).join(', ');
        set(this.svg, 'aria-label', `${this.title}: ${read}`);
        this.#drawCursor(entries, times[place]);
    }

    #describeSpan() {
        const minutes = Math.round(this.#span() / 60);
        return minutes === 60 ? 'the last hour' : `the last ${plural(minutes, 'minute')}`;
    }

    #drawCursor(entries, time) {
        if (!this.cursor) return;
        if (this.#cursor === null) return this.cursor.replaceChildren();
        const scale = this.#scale();
        const x = scale.x(time);
        const dots = entries
            .filter((entry) => entry.value !== null)
            .map((entry) =>
                drawing('circle', { cx: x, cy: scale.y(entry.value), r: 3.5, 'data-series': entry.series }),
            );
        const rule = drawing('line', { x1: x, x2: x, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom });
        return this.cursor.replaceChildren(rule, ...dots);
    }

    #write(value) {
        return value === null ? 'not known' : this.#format(value);
    }

    // One node of the legend; its line stands out while the pointer is on its name.
    #makeEntry({ id }) {
        const [swatch, value] = [element('i', { class: 'swatch', 'aria-hidden': 'true' }), element('b')];
        const root = element('li', {}, swatch, `${id} `, value);
        const stress = (isOn) => set(this.svg, 'data-stressed', isOn ? swatch.dataset.series : null);
        root.addEventListener('pointerenter', () => stress(true));
        root.addEventListener('pointerleave', () => stress(false));
        const update = (entry) => {
            set(swatch, 'data-series', entry.series);
            say(value, this.#write(entry.value));
        };
        return { root, update };
    }
}

// The line: it is broken where nothing is known, and a single known point is a dot.
function path(times, values, scale, step) {
    let [text, isDrawing] = ['', false];
    times.forEach((time, place) => {
        const value = values[place] ?? null;
        const hasGap = place > 0 && time - times[place - 1] > step * 1.5;
        if (value === null) {
            isDrawing = false;
            return;
        }
        const point = `${scale.x(time).toFixed(1)} ${scale.y(value).toFixed(1)}`;
        text += isDrawing && !hasGap ? `L${point}` : `M${point}h0`;
        isDrawing = true;
    });
    return text;
}

// The next of 1, 2, 4, 5, 8 or 10 times a power of ten: quarters of it are easy to read. Never less than 4, so that an
// axis of sessions has no halves.
function niceTop(value) {
    if (value <= 4) return 4;
    const power = 10 ** Math.floor(Math.log10(value));
    const factor = [1, 2, 4, 5, 8, 10].find((one) => value <= one * power) ?? 10;
    return factor * power;
}
