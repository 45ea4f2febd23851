import { changeUser } from '#base/change-user';
import {
  either,
  flag,
  list,
  maybe,
  nothing,
  number,
  object,
  oneOf,
  optional,
  pair,
  type Shaped,
  text,
} from '#base/shape';
import { compactedFile, journalPart } from '#events/journal-part';
import { asked, held, protocol, told } from '#workers/protocol';

const place = { storageName: text, relativePath: text };
const begunChange = object({
  ...place,
  names: maybe(list(text)),
  options: object({ isLocked: optional(flag) }),
  /** New values by name. */
  wanted: maybe(list(pair(text, maybe(text)))),
  user: maybe(changeUser),
});
const begunLifecycle = object({
  ...place,
  kind: oneOf('created', 'removed', 'renamed'),
  previousPath: optional(text),
  user: maybe(changeUser),
});
const journalState = object({ storageName: text, id: text, last: number, oldest: number });
const tooOld = object({ tooOld: text });

export type BegunChange = Shaped<typeof begunChange>;
export type BegunLifecycle = Shaped<typeof begunLifecycle>;
export type JournalState = Shaped<typeof journalState>;

/** The change feed. The supervisor has it, because its events have one order. */
export const FEED = protocol('feed', {
  /** References are about to change. The answer is held; its value is the number of the change. */
  begin: held(begunChange, number),
  /** A repository is about to change; likewise. */
  beginLifecycle: held(begunLifecycle, number),
  /**
   * The change has ended; answered when the events are in the journal. `hasFailed`: the repository
   * was not created, removed or moved.
   */
  end: asked(object({ id: number, hasFailed: flag }), nothing),
  /** The state of a storage's journal. */
  state: asked(text, journalState),
  /** Where the events after a sequence are. */
  locate: asked(object({ storageName: text, after: number }), either(journalPart, tooOld)),
  /** Where the compacted events of a storage are. */
  locateCompacted: asked(text, compactedFile),
});

/** News of the journals, for workers. */
export const FEED_NEWS = protocol('feed news', { state: told(journalState) });
