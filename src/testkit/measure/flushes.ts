import fs, { readlinkSync } from 'node:fs';
import fsPromises, { open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { TestContext } from 'node:test';

/**
 * A step that lets a file survive a power failure: `flush <path>` when it is done, `move <from>
 * <to>` and `link <from> <to>` when they begin.
 */
export type FlushEvent = string;

const observers = new Set<FlushEvent[]>();

/**
 * Returns a list that grows with each flush and move of this process until the end of the test. A
 * test may add more steps.
 */
export async function observeFlushes(context: TestContext): Promise<FlushEvent[]> {
  const events: FlushEvent[] = [];
  observers.add(events);
  context.after(() => observers.delete(events));
  await observeHandles(context);
  return events;
}

function note(event: FlushEvent): void {
  for (const events of observers) events.push(event);
}

const pathOf = (fd: number): string => readlinkSync(`/proc/self/fd/${fd}`);

const { fsync } = fs;
// Modules that keep a reference to the function are loaded after this one, because imports are
// sorted by name.
Object.assign(fs, {
  fsync(fd: number, done: fs.NoParamCallback): void {
    const path = pathOf(fd);
    fsync(fd, (error) => {
      if (error === null) note(`flush ${path}`);
      done(error);
    });
  },
});
for (const [word, name] of [
  ['move', 'rename'],
  ['link', 'link'],
] as const) {
  const original = fsPromises[name];
  fsPromises[name] = (from, to) => {
    note(`${word} ${from} ${to}`);
    return original(from, to);
  };
}
syncBuiltinESMExports();

async function observeHandles(context: TestContext): Promise<void> {
  await using handle = await open('/dev/null');
  const prototype: fsPromises.FileHandle = Object.getPrototypeOf(handle);
  const { sync } = prototype;
  context.mock.method(prototype, 'sync', async function (this: fsPromises.FileHandle): Promise<void> {
    const path = pathOf(this.fd);
    await sync.call(this);
    note(`flush ${path}`);
  });
}
