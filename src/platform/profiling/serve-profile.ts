import type { IncomingMessage, ServerResponse } from 'node:http';
import { lazyModule } from '#base/lazy-module';
import type { OtherProcesses } from '../metrics/process-group.ts';
import type { ProfileKind } from './take-profile.ts';

const loadProfiler = lazyModule(() => import('./take-profile.ts'));
const INDEX = '/debug/pprof/';
/** Go's default of a CPU profile. */
const DEFAULT_SECONDS = 30;
const MAX_SECONDS = 300;

type Others = Pick<OtherProcesses, 'profile' | 'workers'>;

/** Serves one profile at a time: the engine has one profiler. */
export class ProfileEndpoint {
  readonly #others: Others | undefined;
  #isBusy = false;

  /** @param others the further processes of the server. */
  constructor(others?: Others) {
    this.#others = others;
  }

  /**
   * Serves `/debug/pprof/profile` and `/debug/pprof/heap`, each with `?seconds=N` (1 to 300,
   * default 30), and a page that lists them, `/debug/pprof/`. `&worker=N` selects another process
   * of the server. @returns false for any other path.
   */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === INDEX || `${pathname}/` === INDEX) {
      send(response, 200, indexPage(this.#others?.workers() ?? []), 'text/html; charset=utf-8');
      return true;
    }
    const kind = kindOf(pathname);
    if (kind === undefined) return false;
    const seconds = Number(searchParams.get('seconds') ?? DEFAULT_SECONDS);
    const worker = Number(searchParams.get('worker') ?? 0);
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > MAX_SECONDS)
      sendText(response, 400, `seconds must be a whole number from 1 to ${MAX_SECONDS}\n`);
    else if (!Number.isInteger(worker) || worker < 0)
      sendText(response, 400, 'worker must be the number of a process, 0 for the first one\n');
    else if (this.#isBusy) sendText(response, 503, 'another profile is being taken; try again later\n');
    else await this.#take({ kind, seconds, worker }, request, response);
    return true;
  }

  async #take(wanted: WantedProfile, { socket }: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#isBusy = true;
    const gone = new AbortController();
    const onClose = (): void => gone.abort();
    response.once('close', onClose);
    const idleMs = socket.timeout ?? 0;
    socket.setTimeout(0); // the connection is silent while the profile is taken
    try {
      const profile = await this.#profile(wanted, gone.signal);
      if (profile === undefined) {
        sendText(response, 404, `there is no worker ${wanted.worker}\n`);
        return;
      }
      response.writeHead(200, {
        'content-type': 'application/octet-stream',
        'content-disposition': `attachment; filename="${wanted.kind}"`,
        'content-length': profile.length,
      });
      response.end(profile);
    } finally {
      socket.setTimeout(idleMs);
      response.off('close', onClose);
      this.#isBusy = false;
    }
  }

  async #profile(
    { kind, seconds, worker }: WantedProfile,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    if (worker !== 0) return await this.#others?.profile(worker, kind, seconds, signal);
    const { takeProfile } = await loadProfiler();
    return await takeProfile(kind, seconds, signal);
  }
}

interface WantedProfile {
  readonly kind: ProfileKind;
  readonly seconds: number;
  /** Number of the process. */
  readonly worker: number;
}

function kindOf(path: string): ProfileKind | undefined {
  const name = path.startsWith(INDEX) ? path.slice(INDEX.length) : '';
  return name === 'profile' || name === 'heap' ? name : undefined;
}

function sendText(response: ServerResponse, status: number, text: string): void {
  send(response, status, text, 'text/plain; charset=utf-8');
}

function send(response: ServerResponse, status: number, text: string, contentType: string): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

const DESCRIPTIONS: Readonly<Record<ProfileKind, string>> = {
  heap: 'Memory in use: allocated during the profile by stack, all other by space.',
  profile: 'CPU time by stack.',
};

/** @param workers numbers of the further processes. */
function indexPage(workers: readonly number[]): string {
  const link = (name: string, worker: number): string =>
    `${INDEX}${name}?seconds=${DEFAULT_SECONDS}${worker === 0 ? '' : `&amp;worker=${worker}`}`;
  const rows = [0, ...workers].flatMap((worker) =>
    Object.entries(DESCRIPTIONS).map(
      ([name, text]) =>
        `<tr><td>${worker}</td><td><a href="${link(name, worker)}">${name}</a></td><td>${text}</td></tr>`,
    ),
  );
  return `<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<title>${INDEX}</title>
</head>
<body>
<h1>${INDEX}</h1>
<p>Profiles of the processes of this server in the format of pprof. Each takes the given number of
seconds, 1 to ${MAX_SECONDS}, default ${DEFAULT_SECONDS}. Worker 0 is the first process.</p>
<table>
<tr><th>Worker</th><th>Profile</th><th>Description</th></tr>
${rows.join('\n')}
</table>
<p>To read one: <code>go tool pprof -top 'http://HOST:PORT${INDEX}heap?seconds=${DEFAULT_SECONDS}'</code></p>
</body>
</html>
`;
}
