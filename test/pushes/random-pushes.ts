import { packetHeader } from '#base/pkt-line/packet';
import type { Random } from '#testkit/repositories/random-history';
import type { Named, PushFixture } from './fixture.ts';

/** A push of raw bytes. */
export interface RandomPush {
  /** Description for the report. */
  readonly what: string;
  readonly body: Buffer;
  /** Settings of the repository. */
  readonly settings: readonly (readonly [key: string, value: string])[];
  /** Where the client cuts the body into messages. */
  readonly cut: number;
}

const SETTINGS: readonly (readonly [key: string, value: string])[] = [
  ['receive.fsckObjects', 'true'],
  ['transfer.fsckObjects', 'false'],
  ['receive.unpackLimit', '1'],
  ['transfer.unpackLimit', '3'],
  ['receive.maxInputSize', '500'],
  ['receive.denyNonFastForwards', 'true'],
  ['receive.denyDeletes', 'true'],
  ['receive.denyCurrentBranch', 'ignore'],
  ['receive.hideRefs', 'refs/heads/new'],
  ['transfer.hideRefs', '!refs/tmp'],
  ['receive.fsck.missingEmail', 'warn'],
  ['receive.procReceiveRefs', 'refs/for'],
  ['core.logAllRefUpdates', 'always'],
  ['core.sharedRepository', 'group'],
  ['core.compression', '0'],
];

const NAMES: readonly string[] = [
  ...['refs/heads/main', 'refs/heads/main', 'refs/heads/new', 'refs/heads/loose', 'refs/heads/side'],
  ...['refs/heads/folder', 'refs/heads/folder/inside', 'refs/heads/folder/x', 'refs/heads/main/x'],
  ...['refs/heads/new/x', 'refs/heads/loose/x/y', 'refs/tags/v1', 'refs/tags/new', 'refs/notes/commits'],
  ...['refs/heads/symbolic', 'refs/heads/dangling', 'refs/heads/l\xe9\xff', 'refs/tags/\xc3\xa9'],
  ...['HEAD', 'refs/x', 'refs/stash', 'refs/', 'refs', 'main', 'FETCH_HEAD', 'refs/heads/HEAD'],
  ...[
    'refs/heads/..',
    'refs/heads/a..b',
    'refs/heads/a b',
    'refs/heads/@{x',
    'refs/heads/@',
    'refs/heads/-x',
  ],
  ...['refs/heads/x.lock', 'refs/heads/.x', 'refs/heads/x.', 'refs/heads//x', 'refs/heads/', '/refs/heads/x'],
  ...[
    'refs/heads/\x01',
    'refs/heads/a\x7f',
    'refs/heads/a\nb',
    'refs/heads/a:b',
    'refs/heads/a\\b',
    'refs/heads/*',
  ],
  ...[`refs/heads/${'x'.repeat(249)}`, `refs/heads/${'x'.repeat(252)}`, `refs/heads/${'x'.repeat(300)}`],
  ...[
    `refs/heads/${'x'.repeat(300)}/y`,
    `refs/heads/${'y/'.repeat(60)}z`,
    'refs/keep-around/y',
    'refs/tmp/x',
  ],
];
/** Names that most pushes have. */
const USUAL = NAMES.slice(0, 14);
const TARGETS: readonly Named[] = [
  ...(['child', 'child', 'child', 'old', 'main', 'side', 'merge', 'moved', 'orphan', 'annotated'] as const),
  ...(['none', 'none', 'lost', 'blob', 'bad', 'badDate', 'badTree', 'warned'] as const),
];
const CAPABILITIES: readonly (readonly [words: string, share: number])[] = [
  ['report-status', 0.8],
  ['report-status-v2', 0.4],
  ['side-band-64k', 0.75],
  ['atomic', 0.25],
  ['quiet', 0.3],
  ['delete-refs', 0.2],
  ['ofs-delta', 0.2],
  ['agent=git/2.53.0', 0.3],
  ['session-id=x', 0.1],
  ['what', 0.05],
];
/** Most clients send these; a push with others is not received in process. */
const USUAL_CAPABILITIES: typeof CAPABILITIES = [
  ['report-status', 0.95],
  ['report-status-v2', 0.5],
  ['side-band-64k', 0.97],
  ['atomic', 0.3],
  ['quiet', 0.3],
  ['agent=git/2.53.0', 0.5],
];
const PACKS = ['thin', 'thin', 'whole', 'whole', 'empty', 'empty', 'other', 'more'] as const;
const DAMAGES = ['checksum', 'cut', 'header', 'more bytes', 'none at all', 'count', 'byte', 'byte'] as const;

/**
 * Damages that may leave bytes behind the pack. `git index-pack` writes them to a pipe that
 * receive-pack closes at that moment: at times it dies of that.
 */
const BYTES_LEFT: ReadonlySet<string> = new Set(['damage: more bytes', 'damage: count', 'damage: byte']);

/**
 * Returns a push that a client might send: one or several commands, with usual or odd names and
 * values, capabilities, options, and a pack that fits, or does not.
 *
 * @param values ids of the references
 */
export function randomPush(
  random: Random,
  { ids, pack }: PushFixture,
  values: ReadonlyMap<string, string>,
): RandomPush {
  const chance = (share: number): boolean => random() < share;
  // The lists are never empty.
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const what: string[] = [];
  const isUsual = chance(0.6);

  const commands = Array.from({ length: pick(isUsual ? [1, 1, 1, 1, 1, 2] : [1, 1, 2, 2, 3, 5]) }, () => {
    const name = isUsual || chance(0.6) ? pick(USUAL) : pick(NAMES);
    const target = isUsual ? pick(TARGETS.slice(0, 11)) : pick(TARGETS);
    const value = values.get(name) ?? ids.none;
    const from = chance(isUsual ? 0.95 : 0.8) ? value : ids[pick<Named>(['none', 'main', 'old', 'lost'])];
    what.push(`${from.slice(0, 7)} ${target} ${JSON.stringify(name.slice(0, 40))}(${name.length})`);
    return { name, target, line: `${from} ${ids[target]} ${name}` };
  });
  const again = commands[0];
  if (again !== undefined && chance(0.05)) {
    commands.push(again);
    what.push('again');
  }

  const capabilities = isUsual ? USUAL_CAPABILITIES : CAPABILITIES;
  const words = capabilities.filter(([, share]) => chance(share)).map(([word]) => word);
  const options = chance(0.12) ? ['a=b', 'c'] : undefined;
  const [own, other] = ids.none.length === 40 ? ['sha1', 'sha256'] : ['sha256', 'sha1'];
  if (chance(own === 'sha1' ? 0.4 : 0.97)) words.push(`object-format=${chance(0.97) ? own : other}`);
  if (options !== undefined) words.push('push-options');
  what.push(words.join(' '));
  const lines = commands.map(({ line }, index) =>
    index === 0 ? `${line}\0${pick(['', ' '])}${words.join(' ')}` : line,
  );
  if (chance(0.03)) lines.unshift(`shallow ${ids.old}`);
  const end = chance(0.3) ? '\n' : '';
  const parts = [...lines.map((line) => packetOf(`${line}${end}`)), FLUSH];
  if (options !== undefined) parts.push(...options.map(packetOf), FLUSH);

  const tips = commands.map(({ target }) => target).filter((target) => !['none', 'lost'].includes(target));
  const kind = pick(isUsual ? PACKS.slice(0, 6) : PACKS);
  if (tips.length > 0 || chance(0.1)) {
    what.push(`pack ${kind}`);
    parts.push(packOf(kind, tips));
  }
  let body: Buffer = Buffer.concat(parts);
  if (chance(0.15)) {
    const damage = pick(DAMAGES);
    what.push(`damage: ${damage}`);
    body = damaged(body, damage);
  }
  const isRacy = what.some((part) => BYTES_LEFT.has(part));
  const usable = SETTINGS.filter(([key]) => !isRacy || !key.endsWith('.unpackLimit'));
  const settings = chance(0.25) ? [pick(usable)] : [];
  what.push(...settings.map((setting) => setting.join('=')));
  return { what: what.join(', '), body, settings, cut: Math.floor(random() ** 3 * body.length) };

  function packOf(kind: (typeof PACKS)[number], tips: readonly Named[]): Buffer {
    switch (kind) {
      case 'empty':
        return pack(['old'], ['old']);
      case 'other':
        return pack([pick(TARGETS.slice(0, 10))]);
      case 'more':
        return pack([...tips, 'orphan', 'merge'], []);
      case 'whole':
        return pack(tips, []);
      case 'thin':
        return pack(tips);
    }
  }

  function damaged(body: Buffer, damage: (typeof DAMAGES)[number]): Buffer {
    const at = body.indexOf('PACK');
    switch (damage) {
      case 'checksum':
        return at < 0 ? body : Buffer.concat([body.subarray(0, -1), Buffer.of((body.at(-1) ?? 0) ^ 1)]);
      case 'cut':
        return body.subarray(0, Math.floor(random() * body.length));
      case 'header':
        return Buffer.concat([body.subarray(0, Math.max(at, 0)), Buffer.from('PUCK'), body.subarray(at + 4)]);
      case 'byte': {
        const copy = Buffer.from(body);
        const place = Math.floor(random() * (chance(0.5) ? Math.min(300, copy.length) : copy.length));
        copy[place] = Math.floor(random() * 256);
        return copy;
      }
      case 'more bytes':
        return Buffer.concat([body, Buffer.from('more')]);
      case 'none at all':
        return at < 0 ? body : body.subarray(0, at);
      case 'count': {
        if (at < 0) return body;
        const copy = Buffer.from(body);
        copy.writeUInt32BE(copy.readUInt32BE(at + 8) + 1, at + 8);
        return copy;
      }
    }
  }
}

/** Returns a push of one command with nothing odd: a server receives it in process. */
export function plainPush(
  random: Random,
  { ids, pack }: PushFixture,
  values: ReadonlyMap<string, string>,
): RandomPush {
  const name = USUAL[Math.floor(random() * 5)] ?? '';
  const target = (['child', 'merge', 'moved', 'orphan'] as const)[Math.floor(random() * 4)] ?? 'child';
  const format = ids.none.length === 40 ? 'sha1' : 'sha256';
  const line = `${values.get(name) ?? ids.none} ${ids[target]} ${name}`;
  const words = `report-status side-band-64k object-format=${format}`;
  const sent = random() < 0.5 ? pack([target]) : pack([target], []);
  const body = Buffer.concat([packetOf(`${line}\0${words}`), FLUSH, sent]);
  return { what: `plain ${target} ${name}`, body, settings: [], cut: Math.floor(random() * body.length) };
}

const FLUSH = Buffer.from('0000');

function packetOf(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([packetHeader(bytes.length), bytes]);
}
