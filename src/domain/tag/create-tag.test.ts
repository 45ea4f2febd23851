import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ident } from '#git/objects/write/format-ident';
import { ObjectWriter } from '#git/objects/write/write-objects';
import type { Repository } from '#storage/repository';
import { fc } from '#testkit/fast-check';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { type NewTag, writeTag } from './create-tag.ts';

const TAGGER: Ident = {
  name: Buffer.from('Ann'),
  email: Buffer.from('a@x'),
  seconds: 1_700_000_000n,
  timezone: '-0330',
};

async function write(repository: Repository, tag: NewTag): Promise<string | undefined> {
  await using writer = new ObjectWriter(repository, repository.objectFormat);
  const oid = await writeTag(writer, tag);
  await writer.finish();
  return oid;
}

/** Returns the id that git gives the tag; `undefined` when git refuses it. */
function gitsTag(repository: Repository, { name, target, tagger, message }: NewTag): string | undefined {
  const text = Buffer.concat([
    Buffer.from(`object ${target.oid}\ntype ${target.type}\ntag `),
    name,
    Buffer.from('\ntagger '),
    tagger.name,
    Buffer.from(' <'),
    tagger.email,
    Buffer.from(`> ${tagger.seconds} ${tagger.timezone}\n\n`),
    message,
  ]);
  try {
    return gitOutput(repository.path, ['mktag'], text);
  } catch {
    return undefined; // the exit code reports it; the message does not matter
  }
}

/** Callers pass no line feeds and no angle brackets. */
const text = (maxLength: number) =>
  fc
    .oneof(
      fc.array(fc.integer({ min: 0, max: 255 }), { maxLength }).map((bytes) => Buffer.from(bytes)),
      fc.string({ maxLength }).map((string) => Buffer.from(string)),
    )
    .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 0x0a && byte !== 0x3c && byte !== 0x3e)));
const name = fc.oneof(
  text(6).filter(({ length }) => length > 0),
  fc
    .constantFrom('v1', 'a/b', '@', 'HEAD', 'a..b', 'x.lock', '.a', 'a/', 'é', 'a@{b', '-x', 'a*')
    .map((string) => Buffer.from(string)),
);

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a tag of a ${objectFormat} repository is that of git mktag, or refused by both`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { objectFormat, commits: 1 });
    const [commit = '', tree = ''] = fixture
      .runGit(repository.path, ['rev-parse', 'main', 'main^{tree}'])
      .split('\n');
    const target = fc.constantFrom(
      { oid: commit, type: 'commit' as const },
      { oid: tree, type: 'tree' as const },
    );
    const seconds = fc.oneof(fc.bigInt({ min: -10n, max: 10n }), fc.bigInt({ min: 0n, max: 1n << 37n }));
    const tagger = fc.record({
      name: text(8),
      email: text(8),
      seconds,
      timezone: fc.constantFrom('+0000', '+0545', '-1200'),
    });

    await fc.assert(
      fc.asyncProperty(fc.record({ name, target, tagger, message: text(30) }), async (tag) => {
        assert.equal(await write(repository, tag), gitsTag(repository, tag));
      }),
      {
        numRuns: 60,
        examples: [
          [
            {
              name: Buffer.from('v1'),
              target: { oid: tree, type: 'tree' },
              tagger: TAGGER,
              message: Buffer.alloc(0),
            },
          ],
        ],
      },
    );
  });
}
