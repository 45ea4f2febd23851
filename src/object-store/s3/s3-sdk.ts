import { isError } from '#base/is-error';
import { UnsupportedStoreError } from '../store-error.ts';

type SdkModule = typeof import('@aws-sdk/client-s3');

/** The parts of the vendor's library, which is loaded only if a bucket is configured. */
export interface S3Sdk extends SdkModule {
  readonly getSignedUrl: typeof import('@aws-sdk/s3-request-presigner').getSignedUrl;
}

/** Loads the SDK. @throws {UnsupportedStoreError} if it is not installed. */
export async function loadS3Sdk(): Promise<S3Sdk> {
  try {
    const [sdk, { getSignedUrl }] = await Promise.all([
      import('@aws-sdk/client-s3'),
      import('@aws-sdk/s3-request-presigner'),
    ]);
    return { ...sdk, getSignedUrl };
  } catch (error) {
    if (!isError(error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new UnsupportedStoreError(
      'buckets of S3 need two packages: npm install @aws-sdk/client-s3 @aws-sdk/s3-request-presigner',
      { cause: error },
    );
  }
}
