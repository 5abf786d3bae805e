// Steering for those who sign in: the login, and the buttons that ask before they act. Who has not signed in has no
// buttons at all.

import { element, plural, say } from './page.js';
import { MasterSession } from './wamp.js';

// How long the answer to a button stays.
const ANSWER_MS = 10_000;

export class Control {
    #session = null;
    #account = document.getElementById('account');
    #steering = document.getElementById('steering');
    #login = document.getElementById('login');
    #status = null;

    constructor(changed) {
        // Called when buttons come or go.
        this.changed = changed;
        this.#prepareLogin();
        this.#showAccount();
    }

    // ---- Signing in and out

    #prepareLogin() {
        const form = this.#login.querySelector('form');
        document.getElementById('insecure').hidden = window.isSecureContext;
        form.addEventListener('submit', (event) => {
            event.preventDefault();
            this.#signIn(form);
        });
        form.querySelector('[value=cancel]').addEventListener('click', () => this.#login.close());
        // Whatever way the dialog is left, no ticket stays behind in it.
        this.#login.addEventListener('close', () => (form.elements.ticket.value = ''));
    }

    async #signIn(form) {
        const { authid, ticket } = form.elements;
        const [answer, button] = [form.querySelector('[role=alert]'), form.querySelector('[type=submit]')];
        say(answer, '');
        button.disabled = true;
        try {
            this.#session = await MasterSession.open(authid.value, ticket.value);
            this.#session.onend = (sentence) => this.#ended(sentence);
            this.#login.close();
            this.#showAccount();
            this.#refresh();
        } catch (error) {
            say(answer, error.message);
            ticket.select();
        } finally {
            button.disabled = false;
        }
    }

    #ended(sentence) {
        this.#session = null;
        this.#showAccount(sentence);
        this.#refresh();
    }

    #showAccount(sentence) {
        if (this.#session) {
            const leave = button('Sign out', () => this.#session?.close());
            const who = element('span', {}, this.#session.authid);
            who.title = `role ${this.#session.authrole}`;
            this.#account.replaceChildren(who, leave);
            return;
        }
        const enter = button('Sign in', () => this.#openLogin());
        const parts = sentence ? [element('span', { class: 'answer', role: 'alert' }, sentence), enter] : [enter];
        this.#account.replaceChildren(...parts);
    }

    #openLogin() {
        say(this.#login.querySelector('[role=alert]'), '');
        this.#login.showModal();
    }

    // ---- Buttons

    update(status) {
        this.#status = status;
        const action = status.nodes.length > 1 ? { key: 'rebalance', make: () => this.#rebalance() } : null;
        this.#place(this.#steering, action);
    }

    // Asks the master who was refused; null where nobody has signed in.
    get refusals() {
        return this.#session && ((wanted) => this.#call('refusals', wanted));
    }

    #refresh() {
        if (this.#status) this.update(this.#status);
        this.changed();
    }

    // Puts into a card what can be done with this node as it is now.
    steer(slot, node) {
        const action = {
            up: { key: 'drain', make: () => this.#drain(node.id) },
            late: { key: 'drain', make: () => this.#drain(node.id) },
            draining: { key: 'undrain', make: () => this.#undrain(node.id) },
        }[node.state];
        this.#place(slot, action);
    }

    // A slot holds one action; it is made anew only when it becomes another one.
    #place(slot, action) {
        const key = this.#session && action ? action.key : '';
        if ((slot.dataset.action ?? '') === key) return;
        slot.dataset.action = key;
        // The answer to the last button stays until its time is over, though the button becomes another one.
        const answer = key && slot.querySelector('.answer');
        const hadFocus = slot.contains(document.activeElement);
        slot.replaceChildren(...(key ? [action.make(), answer || makeAnswer()] : []));
        if (hadFocus) slot.querySelector('button')?.focus();
    }

    #drain(id) {
        const seconds = { name: 'over', unit: 's', min: 0, max: 86_400, placeholder: 'its own time' };
        return asking(`Drain ${id}`, `Let all clients of ${id} go?`, seconds, async (value) => {
            await this.#call('drain', value === null ? { id } : { id, seconds: value });
            return `${id} lets its clients go.`;
        });
    }

    #undrain(id) {
        return asking(`Undrain ${id}`, `Let ${id} take clients again?`, null, async () => {
            await this.#call('undrain', { id });
            return `${id} takes clients again.`;
        });
    }

    #rebalance() {
        const rate = { name: 'at most', unit: 'sessions/s', min: 1, max: 1_000_000, placeholder: 'usual rate' };
        return asking('Rebalance', 'Move clients until every edge has its fair share?', rate, async (value) => {
            await this.#call('rebalance', value === null ? {} : { rate: value });
            const up = this.#status.nodes.filter((node) => node.state === 'up').length;
            return `Sessions are being evened out over ${plural(up, 'edge')}.`;
        });
    }

    #call(command, kwargs) {
        if (!this.#session) return Promise.reject(new Error('You are not signed in any more.'));
        return this.#session.call(`crossbar.master.${command}`, kwargs);
    }
}

function button(text, act, name) {
    const made = element('button', { type: 'button', class: name }, text);
    made.addEventListener('click', act);
    return made;
}

function makeAnswer() {
    return element('p', { class: 'answer', role: 'status' });
}

// A button that becomes a question with a number and two buttons when it is pressed, and a button again afterwards.
function asking(text, question, number, act) {
    const root = element('form', { class: 'asking' });
    const rest = () => {
        root.replaceChildren(button(`${text} …`, ask));
    };
    const ask = () => {
        say(root.parentElement.querySelector('.answer'), '');
        const field = number && numberField(number);
        const yes = element('button', { type: 'submit', class: 'strong' }, text);
        const no = button('Cancel', leave);
        root.replaceChildren(element('span', {}, question), ...(field ? [field.root] : []), yes, no);
        (field?.input ?? yes).focus();
    };
    const leave = () => {
        rest();
        root.querySelector('button').focus();
    };
    root.addEventListener('keydown', (event) => event.key === 'Escape' && root.children.length > 1 && leave());
    root.addEventListener('submit', async (event) => {
        event.preventDefault();
        const value = root.querySelector('input')?.value ?? '';
        const slot = root.parentElement;
        const answer = slot.querySelector('.answer');
        for (const part of root.querySelectorAll('button, input')) part.disabled = true;
        await act(value === '' ? null : Number(value)).then(
            (sentence) => tell(answer, sentence, 'good'),
            (error) => tell(answer, error.message, 'bad'),
        );
        rest();
        // The button that is there now: the node may have changed its state, and so what can be done with it. Who has
        // gone elsewhere meanwhile is not called back.
        const hasNoFocus = document.activeElement === document.body || slot.contains(document.activeElement);
        if (hasNoFocus) slot.querySelector('button')?.focus();
    });
    rest();
    return root;
}

function numberField({ name, unit, min, max, placeholder }) {
    const input = element('input', { type: 'number', min, max, step: 'any', placeholder, inputmode: 'decimal' });
    return { input, root: element('label', {}, name, ' ', input, ' ', unit) };
}

function tell(answer, sentence, mood) {
    say(answer, sentence);
    answer.dataset.mood = mood;
    clearTimeout(answer.timer);
    // A refusal stays until the next try.
    if (mood === 'good') answer.timer = setTimeout(() => say(answer, ''), ANSWER_MS);
}
