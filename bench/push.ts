import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { cpuDuring } from './lib/process-usage.ts';
import { git } from './lib/run-program.ts';

/** How long does a push of one commit take, beside a push to a directory? */
export const bench: Bench = {
  name: 'push',
  question: 'git push of one commit through the HTTP door, against git push to a file:// URL',
  async *run(workshop) {
    const local = await workshop.repository('small', 'client.git');
    const plain = await workshop.repository('small', 'plain.git');
    await workshop.repository('small', 'served.git');
    const door = await workshop.door();
    const targets = { git: `file://${plain.path}`, door: `${door.url}/served.git` };
    await git(local.path, ['update-ref', 'refs/heads/work', 'main']);
    let cpuMs = 0;
    const push = (target: string) => async () => {
      const tree = await git(local.path, ['rev-parse', 'work^{tree}']);
      const commit = await git(local.path, ['commit-tree', '-p', 'work', '-m', `change at ${performance.now()}`, tree]);
      await git(local.path, ['update-ref', 'refs/heads/work', commit]);
      let elapsedMs = 0;
      const { ownMs } = await cpuDuring(door.pid, async () => {
        elapsedMs = await timed(() => git(local.path, ['push', '--quiet', target, 'work:work']));
      });
      if (target === targets.door) cpuMs += ownMs;
      return elapsedMs;
    };
    const rounds = workshop.quick ? 5 : 25;
    await push(targets.git)();
    await push(targets.door)();
    cpuMs = 0;
    const samples = await takeTurns(rounds, { git: push(targets.git), door: push(targets.door) });
    yield {
      name: 'push of one commit, HTTP',
      value: median(samples.door),
      unit: 'ms',
      reference: { name: 'git push file://', value: median(samples.git) },
      goal: { of: 'ratio', atMost: 1.5 },
      note: `server and door ${(cpuMs / rounds).toFixed(1)} ms CPU per push`,
    };
  },
};
