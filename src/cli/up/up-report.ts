import type { Secret } from '#base/secret';

/** The running listeners, for the lines that `up` prints when it is ready. */
export interface UpReport {
  /** URL of the HTTP gateway, if there is one. */
  readonly http: string | undefined;
  readonly ssh: { readonly url: string; readonly fingerprint: string; readonly users: string } | undefined;
  /** Addresses for gRPC clients. */
  readonly grpc: readonly string[];
  /** Token that gRPC clients need over TCP. */
  readonly token: Secret | undefined;
  /** True if the token was made at this start. */
  readonly isNewToken: boolean;
  readonly directory: string;
  readonly storages: readonly { readonly name: string; readonly path: string }[];
}

/** Formats the report as one line of JSON. */
export function jsonReport({ http, ssh, grpc, token, directory, storages }: UpReport): string {
  const report = {
    ...(http !== undefined && { http }),
    ...(ssh !== undefined && { ssh: ssh.url, ssh_fingerprint: ssh.fingerprint }),
    grpc,
    ...(token !== undefined && { token: token.reveal() }),
    storages,
    directory,
    pid: process.pid,
  };
  return `${JSON.stringify(report)}\n`;
}

/** Formats the report for a person: addresses, and commands to try. */
export function textReport({ http, ssh, grpc, token, isNewToken, directory }: UpReport): string {
  const lines = [
    ...(http === undefined ? [] : [`  HTTP  ${http}`]),
    ...(ssh === undefined ? [] : [`  SSH   ${ssh.url}, host key ${ssh.fingerprint}; ${ssh.users}`]),
    `  gRPC  ${grpc.join(', ')}`,
    ...(token === undefined ? [] : [`  token ${tokenText(token, isNewToken)}`]),
    `  data  ${directory}`,
  ];
  const urls = [http, ssh?.url].filter((url) => url !== undefined);
  const commands = [
    ...urls.map((url) => `  git clone ${url}/hello.git`),
    ...urls.slice(0, 1).map((url) => `  git push ${url}/any-new-name.git HEAD      # creates the repository`),
  ];
  const trial = commands.length === 0 ? '' : `\n${commands.join('\n')}\n`;
  return `\ngitaly-ts is up.\n\n${lines.join('\n')}\n${trial}\nCtrl-C stops it.\n`;
}

/** A token that the user gave is not repeated. */
function tokenText(token: Secret, isNew: boolean): string {
  if (!isNew) return 'as given; gRPC clients need it';
  return `${token.reveal()}  (new at each start; keep one with --token-file)`;
}
