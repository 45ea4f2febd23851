import type { Protocol } from './steps.ts';

/** A result that is not that of `file://`. */
interface Difference {
  readonly over: readonly ('http' | 'ssh')[];
  /** Default: all. */
  readonly protocols?: readonly Protocol[];
  /**
   * True if the result is that of git's own server for HTTP, `git http-backend`. The difference may
   * not exist in each version of git.
   */
  readonly isOfGit?: boolean;
  readonly reason: string;
}

const TAGS: Difference = {
  over: ['http'],
  protocols: ['0', '1'],
  isOfGit: true,
  reason: 'git fetches tags that follow a deepened history in a second step; git 2.39 fails to over HTTP',
};

/** By the name of the case. */
const DIFFERENCES: Readonly<Record<string, Difference>> = {
  'hidden references': {
    over: ['http', 'ssh'],
    reason: 'refs/keep-around/ and others are hidden from fetches, as in GitLab',
  },
  'a mirror of a clone': {
    over: ['http', 'ssh'],
    reason: 'refs/remotes/ is hidden from pushes, as in GitLab',
  },
  'a namespace': { over: ['http', 'ssh'], reason: 'namespaces are not supported' },
  'dumb HTTP': { over: ['http'], reason: 'dumb HTTP is not supported' },

  'a certificate': { over: ['http'], isOfGit: true, reason: 'the HTTP helper ends with 1 instead of 128' },
  'an object that fsck refuses': {
    over: ['http'],
    isOfGit: true,
    reason: 'the HTTP helper reports a push as done though unpacking has failed',
  },
  deepen: TAGS,
  'a larger depth': TAGS,
  'an earlier since': TAGS,
  'excluding later': TAGS,
  'an unshallow that brings more': TAGS,
};

/** Returns the listed difference of a case, if there is one. */
export function differenceOf(
  name: string,
  { protocol, transport }: { readonly protocol: Protocol; readonly transport: 'http' | 'ssh' },
): Difference | undefined {
  const difference = DIFFERENCES[name];
  const isMeant = difference?.over.includes(transport) && (difference.protocols?.includes(protocol) ?? true);
  return isMeant === true ? difference : undefined;
}
