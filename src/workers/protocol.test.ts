import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onViolation } from '#base/invariant';
import { flag, nothing, number, object, text } from '#base/shape';
import { LinkedFamily } from '#testkit/servers/linked-family';
import { until } from '#testkit/until';
import { answer, asked, held, named, protocol, remote, told } from './protocol.ts';

const LIBRARY = protocol('library', {
  count: asked(object({ shelf: text }), number, text),
  borrow: held(text, number, { remark: flag }),
  closed: told(text),
});
/** The same topics with values of other shapes, as of another version. */
const OTHER = protocol('library', {
  count: asked(nothing, text, number),
  borrow: held(text, text, { remark: number }),
  closed: told(number),
});

/** A supervisor that answers a protocol, a worker, and the violations that are reported. */
function started() {
  const stack = new DisposableStack();
  const broken: string[] = [];
  stack.use(onViolation(({ what }) => broken.push(what)));
  const family = new LinkedFamily();
  const { desk } = family.supervisor;
  return { broken, desk, worker: () => family.start(), [Symbol.dispose]: () => stack.dispose() };
}

const WRONG = (topic: string): string => `a message of "library: ${topic}" has another shape`;
const INTERNAL = (topic: string) => ({ code: 'INTERNAL', message: `broken invariant: ${WRONG(topic)}` });

function answerLibrary(at: ReturnType<typeof started>['desk']) {
  const events: unknown[] = [];
  answer(at, LIBRARY, {
    count: ({ shelf }, { note }) => {
      note(`counting ${shelf}`);
      return shelf.length;
    },
    borrow: (title) => ({
      value: title.length,
      release: () => events.push(`${title} is back`),
      onRemark: (isRead) => events.push(isRead),
    }),
    closed: (reason, { worker }) => events.push(`${reason} ${worker}`),
  });
  return events;
}

test('questions, notes, held answers, remarks and messages have the types of their declaration', async () => {
  using peer = started();
  const events = answerLibrary(peer.desk);
  const { borrow, closed, count } = remote(peer.worker().link, LIBRARY);
  const notes: string[] = [];

  assert.equal(await count({ shelf: 'abc' }, { onNote: (note) => notes.push(note) }), 3);
  const { release, remark, value } = await borrow('Emma');
  remark(true);
  release();
  closed('night');

  assert.equal(value, 4);
  await until(() => events.length === 3);
  assert.deepEqual([notes, events], [['counting abc'], [true, 'Emma is back', 'night 1']]);
  assert.deepEqual(peer.broken, []);
});

test('several answer the same protocol by their names', async () => {
  using peer = started();
  const NAMES = protocol('names', { own: asked(nothing, text) });
  for (const name of ['one', 'two']) answer(peer.desk, named(NAMES, name), { own: () => name });
  const { link } = peer.worker();

  assert.equal(await remote(link, named(NAMES, 'two')).own(), 'two');
  await assert.rejects(remote(link, NAMES).own(), { message: 'nothing answers names: own' });
});

test('a question of another shape is refused with INTERNAL, and later ones are answered', async () => {
  using peer = started();
  answerLibrary(peer.desk);
  const { link } = peer.worker();

  await assert.rejects(remote(link, OTHER).count(), INTERNAL('count'));

  assert.equal(await remote(link, LIBRARY).count({ shelf: 'a' }), 1);
  assert.deepEqual(peer.broken, [WRONG('count')]);
});

test('an answer or a note of another shape ends the question; an answer is given back', async () => {
  using peer = started();
  const events = answerLibrary(peer.desk);
  const { link } = peer.worker();

  await assert.rejects(remote(link, OTHER).borrow('Emma'), INTERNAL('borrow'));
  const noted = protocol('library', { count: asked(object({ shelf: text }), number, number) });
  const wanted = remote(link, noted).count({ shelf: 'a' }, { onNote: () => assert.fail('it is a text') });
  await assert.rejects(wanted, INTERNAL('count'));

  await until(() => events.length === 1);
  assert.deepEqual(events, ['Emma is back']);
  assert.deepEqual(peer.broken, [WRONG('borrow'), WRONG('count')]);
});

test('messages and remarks of another shape are reported and dropped', async () => {
  using peer = started();
  const events = answerLibrary(peer.desk);
  const { link } = peer.worker();
  const remarked = protocol('library', { borrow: held(text, number, { remark: number }) });

  remote(link, OTHER).closed(1);
  const { release, remark } = await remote(link, remarked).borrow('Emma');
  remark(1);
  release();

  await until(() => events.length === 1);
  assert.deepEqual(events, ['Emma is back']);
  assert.deepEqual(peer.broken, [WRONG('closed'), WRONG('borrow')]);
});
