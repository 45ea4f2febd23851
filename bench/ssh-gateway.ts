import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { cpuTime, residentMb } from './lib/process-usage.ts';
import { runProgram } from './lib/run-program.ts';

const GB = 1_000_000_000;
const GOAL = { of: 'ratio', atMost: 1.25 } as const;

/** Options that ignore the configuration of this machine and its user. */
const SSH =
  'ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ' +
  'IdentityAgent=none';

/** Milliseconds of one clone, and its cost for the server. */
interface Clone {
  readonly wallMs: number;
  readonly serverCpuMs: number;
}

/** Measures a clone through the SSH gateway, compared with git's own. */
export const bench: Bench = {
  name: 'ssh-gateway',
  question: 'a bare clone of 250 MB through the SSH gateway with OpenSSH, against git clone of a file:// URL',
  async *run(workshop) {
    const name = workshop.quick ? '20mb' : '250mb';
    const repository = await workshop.repository(name);
    const gateway = await workshop.sshGateway();
    const target = join(workshop.directory, 'clone.git');
    const cloned = (url: string) => async (): Promise<Clone> => {
      const before = cpuTime(gateway.pid).ownMs;
      const args = ['-c', `core.sshCommand=${SSH}`, 'clone', '--quiet', '--bare', url, target];
      const wallMs = await timed(() => runProgram('git', args));
      rmSync(target, { recursive: true });
      return { wallMs, serverCpuMs: cpuTime(gateway.pid).ownMs - before };
    };

    const samples = await takeTurns(workshop.quick ? 1 : 5, {
      git: cloned(`file://${repository.path}`),
      ssh: cloned(`${gateway.sshUrl}/${repository.wire.relativePath}`),
      http: cloned(`${gateway.url}/${repository.wire.relativePath}`),
    });
    const wall = (of: keyof typeof samples): number => median(samples[of].map(({ wallMs }) => wallMs));
    const cpuPerGb = (of: keyof typeof samples): number =>
      (median(samples[of].map(({ serverCpuMs }) => serverCpuMs)) * GB) / (workshop.quick ? 20e6 : 250e6);

    const reference = { name: 'git clone file://', value: wall('git') };
    yield { name: 'clone, SSH gateway', value: wall('ssh'), unit: 'ms', reference, goal: GOAL };
    yield { name: 'clone, HTTP gateway', value: wall('http'), unit: 'ms', reference };
    const http = { name: 'HTTP gateway', value: cpuPerGb('http') };
    yield { name: 'server and gateway CPU, SSH', value: cpuPerGb('ssh'), unit: 'ms/GB', reference: http };
    yield { name: 'highest resident memory', value: residentMb(gateway.pid).peak, unit: 'MB' };
  },
};
