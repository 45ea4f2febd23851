import type { Secret } from '#base/secret';

/** The running listeners, for the lines that `up` prints when it is ready. */
export interface UpReport {
  /** URL of the HTTP gateway, if there is one. */
  readonly http: string | undefined;
  /** URL of the console, if there is one. */
  readonly console?: string | undefined;
  readonly ssh: { readonly url: string; readonly fingerprint: string; readonly users: string } | undefined;
  /** The file of people, if one is used. */
  readonly people?: string | undefined;
  /** Addresses for gRPC clients. */
  readonly grpc: readonly string[];
  /** Token that gRPC clients need over TCP. */
  readonly token: Secret | undefined;
  /** True if the token was made at this start. */
  readonly isNewToken: boolean;
  /** URL of the listener for monitoring, if there is one. */
  readonly metrics?: string | undefined;
  readonly directory: string;
  /** Storages as clients name them; those of a cluster have no path. */
  readonly storages: readonly { readonly name: string; readonly path?: string }[];
  readonly cluster?: UpClusterReport;
}

/** The processes of a cluster. Those that end are started again, with other pids. */
export interface UpClusterReport {
  /** Path of Praefect's configuration, for `praefect --config`. */
  readonly config: string;
  readonly praefect: number | undefined;
  /** `undefined` for a given database. */
  readonly postgres: number | undefined;
  readonly nodes: readonly {
    readonly name: string;
    readonly address: string;
    /** Path of its repositories. */
    readonly path: string;
    readonly pid: number | undefined;
  }[];
}

/** Formats the report as one line of JSON. */
export function jsonReport({
  cluster,
  console,
  http,
  people,
  ssh,
  grpc,
  metrics,
  token,
  directory,
  storages,
}: UpReport): string {
  const report = {
    ...(http !== undefined && { http }),
    ...(console !== undefined && { console }),
    ...(ssh !== undefined && { ssh: ssh.url, ssh_fingerprint: ssh.fingerprint }),
    ...(people !== undefined && { people }),
    grpc,
    ...(metrics !== undefined && { metrics }),
    ...(token !== undefined && { token: token.reveal() }),
    storages,
    ...(cluster && { cluster }),
    directory,
    pid: process.pid,
  };
  return `${JSON.stringify(report)}\n`;
}

/** Formats the report for a person: addresses, and commands to try. */
export function textReport(report: UpReport): string {
  const { cluster, console, http, people, ssh, grpc, metrics, token, isNewToken, directory } = report;
  const lines = [
    ...(http === undefined ? [] : [`  HTTP  ${http}`]),
    ...(http === undefined ? [] : [`  API   ${http}/-/api/v1; for agents: ${http}/llms.txt`]),
    ...(console === undefined ? [] : [`  pages ${console}`]),
    ...(ssh === undefined ? [] : [`  SSH   ${ssh.url}, host key ${ssh.fingerprint}; ${ssh.users}`]),
    ...(people === undefined ? [] : [`  people ${people}`]),
    `  gRPC  ${grpc.join(', ')}`,
    ...(token === undefined ? [] : [`  token ${tokenText(token, isNewToken)}`]),
    ...(metrics === undefined ? [] : [`  stats ${metrics}/metrics`]),
    `  data  ${directory}`,
    ...(cluster === undefined ? [] : clusterLines(cluster)),
  ];
  const urls = [http, ssh?.url].filter((url) => url !== undefined);
  const commands = [
    ...urls.map((url) => `  git clone ${url}/hello.git`),
    ...urls.slice(0, 1).map((url) => `  git push ${url}/any-new-name.git HEAD      # creates the repository`),
  ];
  if (cluster !== undefined) commands.push(`  gitaly-ts cluster status ${directory}`);
  const trial = commands.length === 0 ? '' : `\n${commands.join('\n')}\n`;
  return `\ngitaly-ts is up.\n\n${lines.join('\n')}\n${trial}\nCtrl-C stops it.\n`;
}

function clusterLines({ nodes, postgres, praefect }: UpClusterReport): string[] {
  const processes = nodes.map(({ name, pid }) => `${name} (process ${pid})`);
  const database = postgres === undefined ? 'given database' : `PostgreSQL (process ${postgres})`;
  return [`  nodes ${processes.join(', ')}`, `        praefect (process ${praefect}), ${database}`];
}

/** A token that the user gave is not repeated. */
function tokenText(token: Secret, isNew: boolean): string {
  if (!isNew) return 'as given; gRPC clients need it';
  return `${token.reveal()}  (new at each start; keep one with --token-file)`;
}
