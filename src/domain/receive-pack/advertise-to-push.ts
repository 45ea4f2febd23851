import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GitalyError } from '#base/gitaly-error';
import { FLUSH_PACKET, LENGTH_DIGITS, packetHeader, packetLength } from '#base/pkt-line/packet';
import { evenPieces } from '#base/streams/even-pieces';
import type { Repository } from '#storage/repository';
import {
  type Advertisement,
  advertiseReferences,
  serviceHeader,
} from '../git-service/advertise-references.ts';
import type { CapabilityAdvertisements } from '../git-service/capability-advertisements.ts';
import { PushSettings } from './push-settings.ts';

/** All references except HEAD, which the advertisement to a push omits. */
const REFERENCES = { peel: false, symrefs: false, unborn: false, prefixes: [Buffer.from('refs/')] };
/** Removes everything from an advertisement except git's capabilities. */
const HIDE_ALL = { key: 'receive.hideRefs', value: 'refs' };

/** Bytes that are passed on at once: all of a short list, and never more than a message holds. */
const PIECE_BYTES = 128 * 1024;

type Asked = Omit<Advertisement, 'service'>;

/**
 * Yields the answer of a smart HTTP server before a push. The current references are read in this
 * process if the result is sure to equal the output of `git receive-pack`; otherwise git produces
 * it.
 *
 * @param capabilities capabilities of `git receive-pack`, read once for each repository.
 * @throws as {@link advertiseReferences}.
 */
export async function* advertiseToPush(
  repository: Repository,
  asked: Asked,
  capabilities: CapabilityAdvertisements,
): AsyncGenerator<Buffer> {
  const { config } = asked;
  const settings = new PushSettings({ config, repository });
  const pieces = await pushAdvertisement({ ...asked, repository }, settings, capabilities);
  if (pieces === undefined) yield* advertiseReferences(repository, { ...asked, service: 'receive-pack' });
  else yield* evenPieces([...serviceHeader('receive-pack'), ...pieces], PIECE_BYTES);
}

/**
 * Returns the advertisement of `git receive-pack` in pieces that must not be changed; `undefined`
 * if git must produce it.
 *
 * @param capabilities as for {@link advertiseToPush}.
 * @throws as {@link advertiseReferences}.
 */
export async function pushAdvertisement(
  { config, gitProtocol, repository, signal }: Asked & { readonly repository: Repository },
  settings: PushSettings,
  capabilities: CapabilityAdvertisements,
): Promise<Buffer[] | undefined> {
  if (!writesOnlyReferences(repository, gitProtocol)) return undefined;
  const pieces = await repository.inProcess.attempt<Buffer[] | undefined>(
    'push_refs',
    async () => await repository.refs.advertise({ ...REFERENCES, hidden: settings.hidden }, { signal }),
    () => undefined,
  );
  if (pieces === undefined) return undefined;
  const bare = { service: 'receive-pack', config: [...config, HIDE_ALL], gitProtocol, signal } as const;
  const ofGit = capabilities.get(repository, config, () => advertiseReferences(repository, bare));
  const withoutReferences = Buffer.concat(await Array.fromAsync(ofGit));
  const [first = FLUSH_PACKET, ...others] = pieces;
  const start = first.equals(FLUSH_PACKET)
    ? [withoutReferences.subarray(Buffer.concat(serviceHeader('receive-pack')).length)]
    : withCapabilities(first, capabilitiesIn(withoutReferences));
  return [...start, ...others];
}

/**
 * Reports whether git would write nothing but references. In protocol v1 git writes its version
 * first, and in a shallow repository the shallow commits.
 */
function writesOnlyReferences({ path }: Repository, gitProtocol: string): boolean {
  return gitProtocol !== 'version=1' && !existsSync(join(path, 'shallow'));
}

/**
 * Returns the capabilities in the first packet, between the NUL and the line feed, both included.
 */
function capabilitiesIn(advertisement: Buffer): Buffer {
  const start = advertisement.indexOf(0);
  const end = advertisement.indexOf('\n', start) + 1;
  if (start === -1 || end === 0)
    throw new GitalyError('INTERNAL', 'git receive-pack advertised no capabilities');
  return advertisement.subarray(start, end);
}

/** Replaces the line feed of the first packet by the capabilities. */
function withCapabilities(packets: Buffer, words: Buffer): Buffer[] {
  const length = packetLength(packets, 0) ?? 0;
  const line = packets.subarray(LENGTH_DIGITS, length - 1);
  return [packetHeader(line.length + words.length), line, words, packets.subarray(length)];
}
