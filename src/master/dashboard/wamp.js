// A session with the master: the little of WAMP that a caller needs, over WebSocket with JSON.
//
// The ticket is sent once and kept nowhere: not in storage, and not here either. When the connection ends, the
// operator signs in again.

const [HELLO, WELCOME, ABORT, CHALLENGE, AUTHENTICATE, GOODBYE, ERROR, CALL, RESULT] = [1, 2, 3, 4, 5, 6, 8, 48, 50];
const REALM = 'crossbar.master';
const LOGIN_MS = 8_000;
const CALL_MS = 15_000; // A drain is answered when it begins, not when it is over.

// What an ABORT means, and an ERROR without a sentence.
const SENTENCES = {
    'wamp.error.authentication_failed': 'The master does not know this operator, or the ticket is wrong.',
    'wamp.error.not_authorized': 'This operator may not do that.',
    'wamp.error.no_such_procedure': 'The master does not know this procedure; is it older than this page?',
    'wamp.error.no_such_realm': 'The master has no realm for operators.',
};

export class MasterSession {
    #socket;
    #requests = new Map();
    #lastRequest = 0;
    // Told once, with a sentence, when the session has ended.
    onend = () => {};

    // Opens a session; is rejected with the sentence that says why not.
    static open(authid, ticket) {
        return new Promise((resolve, reject) => {
            const url = new URL('/ws', location.href.replace(/^http/, 'ws'));
            const session = new MasterSession(new WebSocket(url, 'wamp.2.json'));
            session.#join(authid, ticket, resolve, reject);
        });
    }

    constructor(socket) {
        this.#socket = socket;
    }

    #join(authid, ticket, resolve, reject) {
        const refuse = (sentence) => {
            clearTimeout(timer);
            this.#socket.close();
            reject(new Error(sentence));
        };
        const timer = setTimeout(() => refuse('The master did not answer in time.'), LOGIN_MS);
        const hello = { roles: { caller: {} }, authmethods: ['ticket'], authid };
        this.#socket.onopen = () => this.#send([HELLO, REALM, hello]);
        this.#socket.onclose = () => refuse('The master closed the connection before it let anybody in.');
        this.#socket.onmessage = ({ data }) => {
            const [type, first, second] = JSON.parse(data);
            if (type === CHALLENGE) this.#send([AUTHENTICATE, ticket, {}]);
            else if (type === ABORT) refuse(SENTENCES[second] ?? sentenceOf(second, [first?.message]));
            else if (type === WELCOME) resolve(this.#established(second, timer));
        };
    }

    #established(details, timer) {
        clearTimeout(timer);
        this.authid = details.authid;
        this.authrole = details.authrole;
        this.#socket.onclose = () => this.#end('The connection to the master has ended.');
        this.#socket.onmessage = ({ data }) => this.#handle(JSON.parse(data));
        return this;
    }

    #handle([type, ...rest]) {
        if (type === RESULT) return this.#settle(rest[0], (call) => call.resolve(rest[2]?.[0]));
        if (type === ERROR)
            return this.#settle(rest[1], (call) => call.reject(new Error(sentenceOf(rest[3], rest[4]))));
        if (type === GOODBYE) {
            this.#send([GOODBYE, {}, 'wamp.close.goodbye_and_out']);
            this.#end(rest[0]?.message ?? `The master ended the session: ${rest[1]}.`);
        }
        return undefined;
    }

    #settle(request, settle) {
        const call = this.#requests.get(request);
        this.#requests.delete(request);
        if (call) settle(call);
    }

    // Calls a procedure with keyword arguments; is rejected with the master's sentence.
    call(procedure, kwargs) {
        const request = (this.#lastRequest += 1);
        return new Promise((resolve, reject) => {
            const late = () => this.#settle(request, () => reject(new Error('The master did not answer in time.')));
            const timer = setTimeout(late, CALL_MS);
            const settled = (settle) => (value) => (clearTimeout(timer), settle(value));
            this.#requests.set(request, { resolve: settled(resolve), reject: settled(reject) });
            this.#send([CALL, request, {}, procedure, [], kwargs]);
        });
    }

    close() {
        if (this.#socket.readyState === WebSocket.OPEN) this.#send([GOODBYE, {}, 'wamp.close.close_realm']);
        this.#end(null);
    }

    #end(sentence) {
        this.#socket.onclose = null;
        this.#socket.onmessage = null;
        this.#socket.close();
        for (const request of [...this.#requests.keys()]) {
            this.#settle(request, (call) => call.reject(new Error(sentence ?? 'The session was closed.')));
        }
        this.onend(sentence);
    }

    #send(message) {
        this.#socket.send(JSON.stringify(message));
    }
}

// The first argument of an error is its sentence, where it has one.
function sentenceOf(error, args) {
    const [sentence] = args ?? [];
    return typeof sentence === 'string' && sentence ? sentence : (SENTENCES[error] ?? `The master refuses: ${error}.`);
}
