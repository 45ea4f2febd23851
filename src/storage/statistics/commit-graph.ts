import { readFile } from 'node:fs/promises';
import { wrap, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { systemErrorCode } from '#base/go/system-error';
import { isOid } from '#git/names/object-id';
import { readStart } from './read-start.ts';

const HEADER_BYTES = 8;
const CHUNK_ENTRY_BYTES = 12;

/** Contents of a repository's commit-graph; a feature is present if any of its layers has it. */
export interface CommitGraphInfo {
  /** Number of layers of a split commit-graph, 0 for one that is a single file. */
  readonly chainLength: number;
  readonly hasBloomFilters: boolean;
  readonly hasGenerationData: boolean;
  readonly hasGenerationDataOverflow: boolean;
}

/**
 * Reads facts about the commit-graph of a repository.
 *
 * @returns `undefined` if it has none.
 * @throws {Error} when a file is not a commit-graph.
 * @see git: Documentation/gitformat-commit-graph.adoc
 */
export async function readCommitGraphInfo(repositoryPath: string): Promise<CommitGraphInfo | undefined> {
  const info = `${repositoryPath}/objects/info`;
  const chain = await readChain(`${info}/commit-graphs/commit-graph-chain`);
  if (chain === undefined) {
    const chunks = await chunkNames(`${info}/commit-graph`);
    return chunks && { chainLength: 0, ...features([chunks]) };
  }
  // Git accepts only hashes. Another line counts as a missing layer.
  const layers = await Promise.all(
    chain.filter((id) => isOid(id)).map((id) => chunkNames(`${info}/commit-graphs/graph-${id}.graph`)),
  );
  return { chainLength: chain.length, ...features(layers) };
}

function features(
  layers: readonly (ReadonlySet<string> | undefined)[],
): Omit<CommitGraphInfo, 'chainLength'> {
  const someLayerHas = (...names: readonly string[]) =>
    layers.some((layer) => names.every((name) => layer?.has(name)));
  return {
    hasBloomFilters: someLayerHas('BIDX', 'BDAT'),
    hasGenerationData: someLayerHas('GDA2'),
    hasGenerationDataOverflow: someLayerHas('GDO2'),
  };
}

async function readChain(file: string): Promise<readonly string[] | undefined> {
  try {
    return (await readFile(file, 'latin1')).trim().split('\n');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw wrap(error, 'reading commit-graphs chain');
  }
}

/**
 * Returns the names in the table of contents; `undefined` if there is no such file, for instance
 * because it was just replaced.
 */
async function chunkNames(file: string): Promise<ReadonlySet<string> | undefined> {
  let header: Buffer;
  try {
    header = await readStart(file, HEADER_BYTES);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw wrap(error, `read commit graph file ${quote(file)} header`);
  }
  if (header.toString('latin1', 0, 4) !== 'CGPH')
    throw new Error(`commit graph file ${quote(file)} doesn't have signature`);
  const version = header.readUInt8(4);
  if (version !== 1)
    throw new Error(`commit graph file ${quote(file)} has unsupported version number: ${version}`);

  const end = HEADER_BYTES + (header.readUInt8(6) + 1) * CHUNK_ENTRY_BYTES;
  const table = await readStart(file, end).catch(
    wrapped(`read commit graph file ${quote(file)} table of contents for the chunks`),
  );
  const names = new Set<string>();
  for (let at = HEADER_BYTES; at < end; at += CHUNK_ENTRY_BYTES)
    names.add(table.toString('latin1', at, at + 4));
  return names;
}
