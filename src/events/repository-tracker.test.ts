import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { type FoundChange, RepositoryTracker } from './repository-tracker.ts';

for (const isNew of [true, false])
  test(`a reference that is read first, in a ${isNew ? 'new' : 'known'} repository`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 1 });
    const newValue = fixture.runGit(repository.path, ['rev-parse', 'main']);
    const found: FoundChange[] = [];
    const tracker = new RepositoryTracker((finding) => found.push(finding));
    if (isNew) tracker.startEmpty();

    // Somebody writes to a new repository before its creation has read all references.
    await tracker.observe(repository, ['refs/heads/main', 'refs/heads/none']);
    await tracker.compareAll(repository);

    const [reference, kind] = ['refs/heads/main', 'reference'] as const;
    const ofMain = found.filter((each) => each.kind === 'reference' && each.reference === reference);
    assert.deepEqual(ofMain, isNew ? [{ kind, reference, oldValue: undefined, newValue }] : []);
  });
