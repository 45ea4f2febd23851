import { connectGrpc } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import type { RepositoryName } from './lib/repositories.ts';
import { runProgram } from './lib/run-program.ts';

const V2 = 'version=2';

/**
 * Measures the time until a client has the list of refs, compared with starting git for each call.
 */
export const bench: Bench = {
  name: 'info-refs',
  question: 'InfoRefsUploadPack against git upload-pack --advertise-refs',
  async *run(workshop) {
    const server = await workshop.server();
    const channel = connectGrpc(await server.connect());
    const sizes: readonly RepositoryName[] = ['1k-refs', '200k-refs'];
    for (const name of sizes) {
      const { path, wire } = await workshop.repository(name);
      const ours = (extra: { gitProtocol?: string; gitConfigOptions?: string[] }) => () =>
        timed(async () => {
          const request = { repository: wire, ...extra };
          for await (const _ of channel.invoke(callable(SmartHTTPService.method.infoRefsUploadPack), [
            request,
          ]));
        });
      const theirs = (env: Readonly<Record<string, string>>) => () =>
        timed(() => runProgram('git', ['upload-pack', '--stateless-rpc', '--advertise-refs', path], { env }));

      await ours({})(); // fills the cache
      const samples = await takeTurns(workshop.quick ? 3 : name === '1k-refs' ? 40 : 8, {
        git: theirs({}),
        'v0, cached': ours({}),
        'v0, not cached': ours({ gitConfigOptions: ['bench.cache=no'] }),
        'git v2': theirs({ GIT_PROTOCOL: V2 }),
        v2: ours({ gitProtocol: V2 }),
      });
      for (const [variant, reference] of [
        ['v0, cached', 'git'],
        ['v0, not cached', 'git'],
        ['v2', 'git v2'],
      ] as const) {
        yield {
          name: `refs ${variant}, ${name}`,
          value: median(samples[variant]),
          unit: 'ms',
          reference: { name: reference, value: median(samples[reference]) },
        };
      }
    }
    channel.destroy();
  },
};
