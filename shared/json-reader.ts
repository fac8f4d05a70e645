import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

export type JsonReading<Value> =
  | { readonly kind: 'read'; readonly value: Value }
  | { readonly kind: 'no-json' }
  /** JSON, but not by the schema. */
  | { readonly kind: 'mismatch'; readonly value: unknown };

/** Reads texts that are to be JSON by the schema. */
export function jsonReader<Schema extends TSchema>(
  schema: Schema,
): (text: string) => JsonReading<Static<Schema>> {
  // At the first text: it takes a while, and nobody reads all that there are schemas for.
  let validator: ReturnType<typeof Compile<Schema>> | undefined;
  return (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return { kind: 'no-json' };
    }
    validator ??= Compile(schema);
    return validator.Check(value) ? { kind: 'read', value } : { kind: 'mismatch', value };
  };
}
