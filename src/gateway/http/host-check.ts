import type { IncomingMessage } from 'node:http';
import { hostname } from 'node:os';
import type { Answer } from './answer.ts';

/** Names of the loopback interface: RFC 6761 reserves `localhost` and everything below it. */
const LOOPBACK_NAME = /^(?:(?:.+\.)?localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;
const LOOPBACK_ADDRESS = /^(?:127\.|::ffff:127\.|::1$)/i;
const PORT = /:\d*$/;

/**
 * Refuses requests on the loopback interface whose `Host` header has the name of another machine.
 * Otherwise a web page could read and write repositories: its author points a name of theirs at
 * 127.0.0.1 (DNS rebinding), and the browser of a user of this machine then treats the gateway as
 * a part of that page.
 *
 * Requests from other machines are not checked: whoever can send them needs no browser.
 */
export class HostCheck {
  readonly #names: ReadonlySet<string>;

  /** Creates a check. @param names further names, without ports, by which clients may address it. */
  constructor(names: readonly string[]) {
    this.#names = new Set([hostname(), ...names].map(plainName));
  }

  /** Returns the response to a request with the wrong name; `undefined` for one with a right name. */
  refusalOf({ headers, socket }: IncomingMessage): Answer | undefined {
    if (!LOOPBACK_ADDRESS.test(socket.localAddress ?? '')) return undefined;
    // HTTP/1.0 has no such header, and no browser uses it
    if (headers.host === undefined) return undefined;
    const name = plainName(headers.host.replace(PORT, ''));
    if (LOOPBACK_NAME.test(name) || this.#names.has(name)) return undefined;
    return {
      status: 421,
      text:
        `The name ${JSON.stringify(name)} is not a name of this server. Use localhost, or make the name ` +
        'known: start the server with --http-host NAME.',
    };
  }
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
