/** Says of a value that doesn't match its schema where, and what is wanted there. */
import type { TSchema } from 'typebox';
import { Check, Errors } from 'typebox/value';

export interface Mismatch {
  /** A JSON pointer (RFC 6901); empty for the value as a whole. */
  readonly field: string;
  /** `must be …`, in the words of JSON Schema. */
  readonly wanted: string;
}

/** What of JSON Schema our schemas use. */
interface Schema extends TSchema {
  readonly type?: string;
  readonly description?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly items?: Schema;
}

/** The first mismatch, the deepest that is sure: of several alternatives, within the one that the value means to be. */
export function explainMismatch(schema: TSchema, value: unknown, field = ''): Mismatch {
  const { type, anyOf, properties, additionalProperties, required, items } = schema as Schema;
  if (anyOf !== undefined) return explainAlternatives(anyOf, value, field);
  if (type === 'array' && Array.isArray(value) && items !== undefined) {
    const index = value.findIndex((item) => !Check(items, item));
    if (index >= 0) return explainMismatch(items, value[index], `${field}/${index}`);
  }
  if (type === 'object' && isObject(value)) {
    const missing = required?.find((name) => !(name in value));
    if (missing !== undefined) return { field: `${field}/${missing}`, wanted: 'is missing' };
    for (const [name, member] of Object.entries(value)) {
      const wanted =
        properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
      const memberSchema = wanted ?? (properties === undefined ? additionalProperties : undefined);
      if (typeof memberSchema !== 'object' || Check(memberSchema, member)) continue;
      return explainMismatch(memberSchema, member, `${field}/${escapePointer(name)}`);
    }
  }
  return { field, wanted: describeWanted(schema, value) };
}

/** Of alternatives told apart by a literal (`kind`), the one whose literal the value has; else that with most in common. */
function explainAlternatives(alternatives: readonly Schema[], value: unknown, field: string): Mismatch {
  const literals = alternatives.flatMap(({ const: literal }) => (literal === undefined ? [] : [literal]));
  if (literals.length === alternatives.length) return { field, wanted: describeChoice(literals) };
  const objects = alternatives.filter(({ type }) => type === 'object');
  if (!isObject(value) || objects.length === 0) {
    const types = [...new Set(alternatives.map(({ type }) => type).filter((type) => type !== undefined))];
    return { field, wanted: `must be ${types.join(' or ')}` };
  }
  const meant = objects.find((schema) => hasLiteralsOf(schema, value)) ?? closestTo(objects, value);
  return explainMismatch(meant, value, field);
}

function hasLiteralsOf({ properties = {} }: Schema, value: Readonly<Record<string, unknown>>): boolean {
  const literals = Object.entries(properties).filter(([, { const: literal }]) => literal !== undefined);
  return literals.length > 0 && literals.every(([name, { const: literal }]) => value[name] === literal);
}

function closestTo(schemas: readonly Schema[], value: Readonly<Record<string, unknown>>): Schema {
  const missing = ({ required = [] }: Schema): number => required.filter((name) => !(name in value)).length;
  return schemas.reduce((best, schema) => (missing(schema) < missing(best) ? schema : best));
}

function describeWanted(schema: Schema, value: unknown): string {
  if (schema.const !== undefined) return describeChoice([schema.const]);
  if (schema.enum !== undefined) return describeChoice(schema.enum);
  const message = Errors(schema, value)[0]?.message ?? 'is not as wanted';
  return schema.description === undefined ? message : `${message} (${schema.description})`;
}

function describeChoice(choices: readonly unknown[]): string {
  const texts = choices.map((choice) => JSON.stringify(choice));
  return texts.length === 1 ? `must be ${texts[0]!}` : `must be one of ${texts.join(', ')}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
