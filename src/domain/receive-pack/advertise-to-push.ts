import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { evenPieces } from '#base/even-pieces';
import { GitalyError } from '#base/gitaly-error';
import type { Repository } from '#storage/repository';
import { type Advertisement, advertiseReferences, serviceHeader } from '../git-service/advertise-references.ts';
import { advertisedPackets } from '../git-service/advertised-packets.ts';
import type { CapabilityAdvertisements } from '../git-service/capability-advertisements.ts';

/** All that is no HEAD: a push is not told of that. */
const REFERENCES = { peel: false, symrefs: false, unborn: false, prefixes: [Buffer.from('refs/')] };
/** Leaves of an advertisement only what git says about itself. */
const HIDE_ALL = { key: 'receive.hideRefs', value: 'refs' };

/** Bytes that are handed on at once: of few references all, of many no more than a message may have. */
const PIECE_BYTES = 128 * 1024;
const FLUSH_PACKET = Buffer.from('0000');
const LENGTH_DIGITS = 4;

/**
 * What a smart HTTP server answers before a push: the references as they are now, read without a process where that is sure to give what
 * `git receive-pack` would write; git itself otherwise.
 *
 * @param capabilities what `git receive-pack` said about itself; it is asked once for each repository.
 * @throws as {@link advertiseReferences}.
 */
export async function* advertiseToPush(
  repository: Repository,
  advertisement: Omit<Advertisement, 'service'>,
  capabilities: CapabilityAdvertisements,
): AsyncGenerator<Buffer> {
  const { config, gitProtocol } = advertisement;
  const options = { ...advertisement, service: 'receive-pack' } as const;
  const pieces = isPlain(repository, gitProtocol) ? await advertisedPackets(repository, options, () => REFERENCES) : undefined;
  if (pieces === undefined) {
    yield* advertiseReferences(repository, options);
    return;
  }
  const bare = { ...options, config: [...config, HIDE_ALL] };
  const ofGit = capabilities.get(repository, config, () => advertiseReferences(repository, bare));
  const withoutReferences = Buffer.concat(await Array.fromAsync(ofGit));
  const [first = FLUSH_PACKET, ...others] = pieces;
  const start = first.equals(FLUSH_PACKET)
    ? [withoutReferences]
    : [...serviceHeader('receive-pack'), ...withWords(first, capabilitiesIn(withoutReferences))];
  yield* evenPieces([...start, ...others], PIECE_BYTES);
}

/** Git says its version first in protocol v1, and of a shallow repository where it ends. */
function isPlain({ path }: Repository, gitProtocol: string): boolean {
  return gitProtocol !== 'version=1' && !existsSync(join(path, 'shallow'));
}

/** The words behind the NUL of the first packet, the NUL before and the line feed behind them. */
function capabilitiesIn(advertisement: Buffer): Buffer {
  const start = advertisement.indexOf(0);
  const end = advertisement.indexOf('\n', start) + 1;
  if (start === -1 || end === 0) throw new GitalyError('INTERNAL', 'git receive-pack advertised no capabilities');
  return advertisement.subarray(start, end);
}

/** Puts words in the place of the line feed of the first packet. */
function withWords(packets: Buffer, words: Buffer): Buffer[] {
  const length = Number.parseInt(packets.toString('latin1', 0, LENGTH_DIGITS), 16);
  const digits = (length - 1 + words.length).toString(16).padStart(LENGTH_DIGITS, '0');
  return [Buffer.from(digits), packets.subarray(LENGTH_DIGITS, length - 1), words, packets.subarray(length)];
}
