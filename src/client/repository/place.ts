import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RepositorySchema, UserSchema } from '#wire/gen/shared_pb';
import type { Connection } from '../connection.ts';

/** A repository on a connection, and the user for whom it is changed. */
export interface Place {
  readonly connection: Connection;
  readonly repository: MessageInitShape<typeof RepositorySchema>;
  readonly user: MessageInitShape<typeof UserSchema>;
}
