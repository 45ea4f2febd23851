import { isMessage } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { GitalyError } from '#base/gitaly-error';
import { lazyModule } from '#base/lazy-module';

const loadTypes = lazyModule(() => import('#rpc/common/typed-details'));

/**
 * Returns the error with decoded details. The types of all messages are loaded at the first error
 * that needs them, because loading takes time.
 */
export async function withReadDetails(error: GitalyError): Promise<GitalyError> {
  if (!error.details.some((detail) => isMessage(detail, AnySchema))) return error;
  const { unpackDetails } = await loadTypes();
  const { cause, code, message, metadata } = error;
  return new GitalyError(code, message, { cause, metadata, details: unpackDetails(error.details) });
}
