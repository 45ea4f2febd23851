import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GitalyError } from '#base/gitaly-error';
import { PacketParser } from '#base/pkt-line/packet-parser';
import { PacketSplitter } from '#base/pkt-line/packet-splitter';
import { readSideBand } from '#base/pkt-line/side-band';
import { parsePax, readTar, TarFormatError } from '#base/tar/read-tar';
import { parseResolutions } from '#domain/conflicts/resolve-on-branch';
import { RelayParser } from '#domain/hooks/relay/relay-parser';
import { parseRemoteUrl } from '#domain/remote/url/remote-url';
import { parseSigningKey } from '#domain/signing/signing-key';
import { Negotiation } from '#domain/upload-pack/negotiation';
import { RequestParser } from '#domain/upload-pack/request-parser';
import { AuthFileError, parseAuthFile } from '#gateway/http/auth/auth-file';
import { parseCredentials } from '#gateway/http/auth/credentials';
import { parseSecretHash } from '#gateway/http/auth/password-hash';
import { parsePeople } from '#gateway/people/people-file';
import { PeopleFileError } from '#gateway/people/toml-table';
import { parseRepositoryPath } from '#gateway/repository-path';
import { parseGitCommand } from '#gateway/ssh/git-command';
import { parseAuthorizedKeys } from '#gateway/ssh/keys/authorized-keys';
import { parseAttributes } from '#git/attributes/parse-attributes';
import { parseGitVersion } from '#git/command/capabilities';
import { FallBackToGit } from '#git/command/in-process';
import { DiffFormatError } from '#git/diff/parse/diff-format-error';
import { parseNumstat } from '#git/diff/parse/numstat';
import { parseDiff } from '#git/diff/parse/parse-diff';
import { parseRawRecords } from '#git/diff/parse/raw-records';
import { parseRangeDiff } from '#git/diff/range-diff';
import { parseNode } from '#git/history/graph/commit-nodes';
import { CommitGraphDamage, readCommitGraph } from '#git/history/graph/read-commit-graph';
import { parseMergeTree } from '#git/merge/parse-merge-tree';
import { unquotePath } from '#git/names/unquote-path';
import { AnswerParser } from '#git/objects/cat-file/answer-parser';
import { isParsable } from '#git/objects/parse/is-parsable';
import { Mailmap } from '#git/objects/parse/mailmap';
import { parseCommit } from '#git/objects/parse/parse-commit';
import { parseIdent } from '#git/objects/parse/parse-ident';
import { parseLfsPointer } from '#git/objects/parse/parse-lfs-pointer';
import { parseTagInTurns } from '#git/objects/parse/parse-tag';
import { parseTrailers } from '#git/objects/parse/parse-trailers';
import { parseTreeInTurns } from '#git/objects/parse/parse-tree';
import { parsePlainCommit } from '#git/refs/list/parse-branch-tip';
import { parseLooseRef } from '#git/refs/storage/files/loose-ref';
import { findPackedRef } from '#git/refs/storage/files/packed-refs';
import { PackedRefsFile } from '#git/refs/storage/files/packed-refs-cache';
import { readPackedLines } from '#git/refs/storage/files/read-packed-lines';
import { scanPackedRefs } from '#git/refs/storage/files/scan-packed-refs';
import { alternateLines } from '#git/repository-files/alternates-file';
import { parseSettings } from '#git/repository-files/config-file';
import { parseFormat } from '#git/repository-files/repository-format';
import { ReadConfigError, readConfig } from '#platform/config/read-config';
import { ConnectionError } from '#rpc/common/http2/connection-error';
import { decodeHeaders } from '#rpc/common/http2/decode-headers';
import { FrameSplitter } from '#rpc/common/http2/frame-splitter';
import { IncomingBlocks } from '#rpc/common/http2/incoming-blocks';
import { readBitmap } from '#storage/statistics/bitmap';
import { readCommitGraphInfo as readGraphFacts } from '#storage/statistics/commit-graph';
import { readMultiPackIndexInfo } from '#storage/statistics/multi-pack-index';
import type { GitSamples } from './git-samples.ts';
import { AUTH_FILE, AUTHORIZED_KEYS, CONFIG_TOML, PEOPLE_FILE, SETTINGS, TEXTS } from './text-samples.ts';

/** A parser, its corpus and the errors that it may throw. */
export interface Target {
  readonly name: string;
  readonly samples: readonly Buffer[];
  /** Exactly these classes: an `Error` of JavaScript's own kinds is a fault. */
  readonly errors: readonly (abstract new (
    ...args: never
  ) => Error)[];
  parse(input: Buffer): unknown;
}

const OID = '1'.repeat(40);
const SHA1_BYTES = 20;
const bytes = (texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text));
/** Examples of RFC 7541, appendix C. */
const HEADER_BLOCKS = [
  '400a637573746f6d2d6b65790d637573746f6d2d686561646572',
  '828684418cf1e3c2e5f23a6ba0ab90f4ff',
  '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff' +
    '6e919d29ad171863c78f0b97c8e9ae82ae43d3',
].map((hex) => Buffer.from(hex, 'hex'));
/** Settings, headers with padding and a continuation, data. */
const HTTP2_FRAMES = [
  Buffer.from(
    '000006040000000000000300000009' +
      '00000401080000000101880000' +
      '000000090000000001' +
      '00000309040000000100016100' +
      '0000030001000000016f6e65',
    'hex',
  ),
];
const text = (input: Buffer): string => input.toString('latin1');

/** Yields bytes in pieces that end at awkward places. */
async function* chunks(input: Buffer): AsyncGenerator<Buffer> {
  const step = Math.max(7, input.length >> 3);
  for (let at = 0; at < input.length; at += step) yield input.subarray(at, at + step);
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

/** Returns all targets. `scratch` is a directory for parsers that read files. */
export function parserTargets(git: GitSamples, scratch: string): Target[] {
  return [
    ...objectTargets(git),
    ...refTargets(git),
    ...diffTargets(git),
    ...fileTargets(git, scratch),
    ...wireTargets(git),
    ...textTargets(git),
  ];
}

function objectTargets(git: GitSamples): Target[] {
  const any = [...git.commits, ...git.trees, ...git.tags];
  return [
    { name: 'parseCommit', samples: git.commits, errors: [], parse: (input) => parseCommit(OID, input) },
    { name: 'parseNode', samples: git.commits, errors: [], parse: (input) => parseNode(OID, input) },
    { name: 'parsePlainCommit', samples: git.commits, errors: [], parse: parsePlainCommit },
    {
      name: 'parseTag',
      samples: git.tags,
      errors: [],
      parse: (input) => parseTagInTurns(OID, input),
    },
    {
      name: 'parseTree',
      samples: git.trees,
      errors: [GitalyError],
      parse: (input) => parseTreeInTurns(input, 20),
    },
    {
      name: 'isParsable',
      samples: any,
      errors: [],
      parse: (data) =>
        (['commit', 'tree', 'tag', 'blob'] as const).map((type) => isParsable({ oid: OID, type, data })),
    },
    { name: 'parseIdent', samples: bytes(TEXTS.idents), errors: [], parse: parseIdent },
    { name: 'parseTrailers', samples: bytes(TEXTS.trailers), errors: [], parse: parseTrailers },
    { name: 'parseLfsPointer', samples: bytes(TEXTS.lfsPointers), errors: [], parse: parseLfsPointer },
    {
      name: 'Mailmap',
      samples: bytes(TEXTS.mailmaps),
      errors: [],
      parse: async (input) => (await Mailmap.parse(input)).mapIdent(input),
    },
    {
      name: 'parseAttributes',
      samples: bytes(TEXTS.attributes),
      errors: [],
      parse: (input) => parseAttributes(input, { allowMacros: true }),
    },
    {
      name: 'AnswerParser',
      samples: [git.catFile],
      errors: [GitalyError],
      parse: (input) => {
        const parser = new AnswerParser({ delimiter: 10, contents: () => true });
        for (let at = 0; at < input.length; at += 1000)
          Array.from(parser.feed(input.subarray(at, at + 1000)));
      },
    },
    {
      name: 'alternateLines',
      samples: bytes(TEXTS.alternates),
      errors: [],
      parse: (input) => alternateLines(text(input)),
    },
  ];
}

function refTargets({ packedRefs }: GitSamples): Target[] {
  const file = (input: Buffer): PackedRefsFile =>
    new PackedRefsFile(
      { size: input.length, bytes: (start, length) => input.subarray(start, start + length) },
      // The stamp is only compared.
      'stamp' as never,
      undefined,
    );
  const name = Buffer.from('refs/tags/v2');
  return [
    {
      name: 'findPackedRef',
      samples: [packedRefs],
      errors: [FallBackToGit],
      parse: (input) => findPackedRef(file(input).source, name),
    },
    {
      name: 'scanPackedRefs',
      samples: [packedRefs],
      errors: [FallBackToGit],
      parse: (input) => drain(scanPackedRefs(file(input), { prefix: Buffer.from('refs/'), digits: 40 })),
    },
    {
      name: 'readPackedLines',
      samples: [packedRefs],
      errors: [FallBackToGit],
      parse: (input) => readPackedLines(file(input), { digits: 40, peel: true }),
    },
    { name: 'parseLooseRef', samples: bytes(TEXTS.looseRefs), errors: [FallBackToGit], parse: parseLooseRef },
  ];
}

function diffTargets(git: GitSamples): Target[] {
  return [
    {
      name: 'parseDiff',
      samples: [git.rawPatch],
      errors: [DiffFormatError],
      parse: (input) => drain(parseDiff(chunks(input), { hexLength: 40, take: (diff) => diff })),
    },
    {
      name: 'parseRawRecords',
      samples: [git.rawRecords],
      errors: [DiffFormatError],
      parse: (input) => drain(parseRawRecords(chunks(input))),
    },
    {
      name: 'parseNumstat',
      samples: [git.numstat],
      errors: [DiffFormatError],
      parse: (input) => drain(parseNumstat(chunks(input))),
    },
    {
      name: 'parseRangeDiff',
      samples: [git.rangeDiff],
      errors: [DiffFormatError],
      parse: (input) => drain(parseRangeDiff(chunks(input))),
    },
    { name: 'parseMergeTree', samples: [git.mergeTree], errors: [GitalyError], parse: parseMergeTree },
    { name: 'unquotePath', samples: bytes(TEXTS.quotedPaths), errors: [], parse: unquotePath },
  ];
}

/** Parsers of files, which get each input as a file. */
function fileTargets(git: GitSamples, scratch: string): Target[] {
  const asFile = (name: string, input: Buffer): string => {
    const path = join(scratch, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, input);
    return path;
  };
  const graph = 'graph/objects/info/commit-graph';
  return [
    {
      name: 'readCommitGraph',
      samples: [git.commitGraph],
      errors: [CommitGraphDamage],
      parse: async (input) => {
        // With the right checksum, so that the rest of the file is read.
        const content = input.subarray(0, -SHA1_BYTES);
        asFile(graph, Buffer.concat([content, createHash('sha1').update(content).digest()]));
        await readCommitGraph([join(scratch, 'graph/objects')], 1 << 24);
      },
    },
    {
      name: 'facts about a commit-graph',
      samples: [git.commitGraph],
      errors: [Error, GitalyError],
      parse: async (input) => {
        asFile(graph, input);
        await readGraphFacts(join(scratch, 'graph'));
      },
    },
    {
      name: 'readMultiPackIndexInfo',
      samples: [git.multiPackIndex],
      errors: [Error, GitalyError],
      parse: (input) => readMultiPackIndexInfo(asFile('midx', input)),
    },
    {
      name: 'readBitmap',
      samples: [git.bitmap],
      errors: [Error, GitalyError],
      parse: (input) => readBitmap(asFile('bitmap', input)),
    },
  ];
}

function wireTargets(git: GitSamples): Target[] {
  const requests = [git.uploadPackRequest, ...bytes(TEXTS.packets)];
  return [
    {
      name: 'PacketParser',
      samples: requests,
      errors: [],
      parse: (input) => [...new PacketParser().push(input)],
    },
    {
      name: 'PacketSplitter',
      samples: requests,
      errors: [Error],
      parse: (input) => new PacketSplitter({ packet: () => true, payload: () => {} }).write(input),
    },
    {
      name: 'readSideBand',
      samples: bytes(TEXTS.sideBands),
      errors: [Error],
      parse: (input) => drain(readSideBand(chunks(input))),
    },
    {
      name: 'RequestParser',
      samples: requests,
      errors: [],
      parse: (input) => new RequestParser().push(input),
    },
    {
      name: 'Negotiation',
      samples: requests,
      errors: [],
      parse: (input) => {
        const negotiation = new Negotiation();
        negotiation.push(input);
        return negotiation.statistics;
      },
    },
    {
      name: 'RelayParser',
      samples: bytes(TEXTS.relays),
      errors: [Error],
      parse: (input) => [...new RelayParser().push(input)],
    },
    {
      name: 'readTar',
      samples: [git.tar],
      errors: [TarFormatError],
      parse: async (input) => {
        for await (const { content } of readTar(chunks(input))) await drain(content);
      },
    },
    { name: 'parsePax', samples: bytes(TEXTS.pax), errors: [], parse: parsePax },
    {
      name: 'decodeHeaders',
      samples: HEADER_BLOCKS,
      errors: [ConnectionError],
      parse: (input) => decodeHeaders(input, { maxListBytes: 65_535, maxPairs: 1000 }),
    },
    {
      name: 'FrameSplitter',
      samples: HTTP2_FRAMES,
      errors: [ConnectionError],
      parse: (input) => {
        const blocks = new IncomingBlocks(65_535);
        new FrameSplitter((frame) => {
          blocks.checkOrder(frame);
          if (frame.type === 1 || frame.type === 9) blocks.add(frame);
        }).push(input);
      },
    },
  ];
}

function textTargets(git: GitSamples): Target[] {
  return [
    {
      name: 'the configuration file',
      samples: bytes([CONFIG_TOML]),
      errors: [ReadConfigError],
      parse: (input) => readConfig(withoutCommand(input.toString())),
    },
    {
      name: 'parseSettings',
      samples: bytes([SETTINGS]),
      errors: [],
      parse: (input) => parseSettings(text(input)),
    },
    {
      name: 'parseFormat',
      samples: bytes([SETTINGS]),
      errors: [],
      parse: (input) => parseFormat(text(input), false),
    },
    {
      name: 'parseAuthorizedKeys',
      samples: bytes([AUTHORIZED_KEYS]),
      errors: [],
      parse: (input) => parseAuthorizedKeys(input.toString()),
    },
    {
      name: 'parseAuthFile',
      samples: bytes([AUTH_FILE]),
      errors: [AuthFileError],
      parse: (input) => parseAuthFile(input.toString()),
    },
    {
      name: 'parsePeople',
      samples: bytes([PEOPLE_FILE]),
      errors: [PeopleFileError],
      parse: (input) => parsePeople(input.toString()),
    },
    {
      name: 'parseSecretHash',
      samples: bytes(TEXTS.hashes),
      errors: [],
      parse: (input) => parseSecretHash(input.toString()),
    },
    {
      name: 'parseCredentials',
      samples: bytes(TEXTS.credentials),
      errors: [],
      parse: (input) => parseCredentials(text(input)),
    },
    {
      name: 'parseGitCommand',
      samples: bytes(TEXTS.gitCommands),
      errors: [],
      parse: (input) => parseGitCommand(text(input)),
    },
    {
      name: 'parseRepositoryPath',
      samples: bytes(TEXTS.paths),
      errors: [],
      parse: (input) => parseRepositoryPath(text(input)),
    },
    {
      name: 'parseResolutions',
      samples: bytes(TEXTS.resolutions),
      errors: [GitalyError],
      parse: parseResolutions,
    },
    {
      name: 'parseRemoteUrl',
      samples: bytes(TEXTS.urls),
      errors: [GitalyError, Error],
      parse: (input) => parseRemoteUrl(input.toString()),
    },
    { name: 'parseSigningKey', samples: git.sshKeys, errors: [Error], parse: parseSigningKey },
    {
      name: 'parseGitVersion',
      samples: bytes(TEXTS.versions),
      errors: [],
      parse: (input) => parseGitVersion(input.toString()),
    },
  ];
}

/** Keeps an input from naming a program that is then run. */
const withoutCommand = (toml: string): string => toml.replaceAll(/command|token_file/g, 'x');
