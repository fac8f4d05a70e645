import { NatprobeError } from '../../shared/errors.ts';
import { messageOf } from '../../shared/thrown.ts';

/** What `query` gives; what the database throws becomes ERR_STORE. */
export async function orStoreError<Result>(query: () => Promise<Result>): Promise<Result> {
  try {
    return await query();
  } catch (error) {
    if (error instanceof NatprobeError) throw error;
    const detail = messageOf(error);
    throw new NatprobeError('ERR_STORE', 'reports', detail, { cause: error });
  }
}
