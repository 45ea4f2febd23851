import type { HostAndPort } from '#client/connect/address';

/** An invalid address on the command line; the message names the accepted forms. */
export class AddressError extends Error {
  override readonly name = 'AddressError';
}

/** Parses `HOST:PORT`, with IPv6 in brackets. @throws {AddressError} */
export function parseHttpAddress(text: string): HostAndPort {
  return parseHostAndPort('--http', text, 'such as 127.0.0.1:8080 or 0.0.0.0:3000');
}

/** Parses `HOST:PORT`, with IPv6 in brackets. @throws {AddressError} */
export function parseSshAddress(text: string): HostAndPort {
  return parseHostAndPort('--ssh', text, 'such as 127.0.0.1:2222 or 0.0.0.0:22');
}

/** Parses `HOST:PORT`, with IPv6 in brackets. @throws {AddressError} */
export function parseMetricsAddress(text: string): HostAndPort {
  return parseHostAndPort('--metrics', text, 'such as 127.0.0.1:9236');
}

function parseHostAndPort(option: string, text: string, examples: string): HostAndPort {
  const [, v6, name, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = v6 ?? name;
  if (host === undefined || Number(port) > 65535)
    throw new AddressError(`${option} ${text}: expected HOST:PORT, ${examples}`);
  return { host, port: Number(port) };
}

/** Address for gRPC clients, as keys of the server's configuration. */
export type GrpcAddress = { readonly socket_path: string } | { readonly listen_addr: string };

/** Parses `unix:PATH`, `HOST:PORT` or `tcp://HOST:PORT`. @throws {AddressError} */
export function parseGrpcAddress(text: string): GrpcAddress {
  const path = /^unix:(?:\/\/)?(.+)$/.exec(text)?.[1];
  if (path !== undefined) return { socket_path: path };
  const place = text.replace(/^tcp:\/\//, '');
  if (!/^(?:\[[0-9a-fA-F:.]+\]|[^:[\]/]*):\d{1,5}$/.test(place)) {
    throw new AddressError(
      `--grpc ${text}: expected HOST:PORT or unix:PATH, such as 127.0.0.1:9999 or unix:/run/gitaly.socket`,
    );
  }
  return { listen_addr: place };
}
