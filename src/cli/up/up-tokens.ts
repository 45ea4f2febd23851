import { messageOf } from '#base/gitaly-error';
import { TokenStore } from '#tokens/token-store';
import { TokenVerifier } from '#tokens/token-verifier';
import { tokensIn } from '../people/token.ts';
import { GatewayArgumentError } from './gateway-options.ts';

/** Command line options of tokens. */
export interface UpTokensOptions {
  /** True if the gateways accept the tokens of `gitaly-ts token`. */
  readonly tokens?: boolean;
  /** A file or URL with keys of another issuer, whose tokens are accepted, too. */
  readonly jwks?: string | undefined;
  /** `iss` of those tokens. */
  readonly jwksIssuer?: string | undefined;
}

/**
 * Returns what checks the tokens of requests; `undefined` if the gateways accept none.
 *
 * @throws {GatewayArgumentError}; an error that names a directory, file or URL that cannot be used.
 */
export async function upTokens(
  directory: string,
  options: UpTokensOptions,
): Promise<TokenVerifier | undefined> {
  const verifier = verifierOf(directory, options);
  await verifier?.prepare();
  return verifier;
}

/** Returns what {@link upTokens} does, without creating or reading files. */
export function verifierOf(
  directory: string,
  { jwks, jwksIssuer: issuer, tokens = false }: UpTokensOptions,
): TokenVerifier | undefined {
  if ((jwks === undefined) !== (issuer === undefined))
    throw new GatewayArgumentError('--jwks and --jwks-issuer must be given together');
  if (!tokens && jwks === undefined) return undefined;
  return new TokenVerifier({
    store: new TokenStore(tokensIn(directory)),
    ...(jwks !== undefined && issuer !== undefined && { foreign: { jwks, issuer } }),
    onProblem: (error) => process.stderr.write(`gitaly-ts: a token cannot be checked: ${messageOf(error)}\n`),
  });
}
