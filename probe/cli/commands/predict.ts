import { NatprobeError } from '../../../shared/errors.ts';
import { predict } from '../../../shared/punch/predict.ts';
import { EXIT } from '../exit-codes.ts';
import { readSide } from '../read-side.ts';
import { renderPrediction } from '../render/prediction.ts';
import { decideStyle } from '../../../shared/style.ts';
import type { OutputFlags } from '../settings.ts';

/** `natprobe predict A B`: prints the prediction; the exit code is 0 whatever that is. Rejects with a NatprobeError. */
export async function predictCommand(a: string, b: string, { json, color }: OutputFlags): Promise<number> {
  if (a === '-' && b === '-')
    throw new NatprobeError('ERR_FLAGS', 'A and B', 'only one of them can come from standard input');
  const prediction = predict(await readSide(a, 'A'), await readSide(b, 'B'));
  const style = decideStyle(color, process.env, process.stdout.isTTY);
  process.stdout.write(
    json === true ? `${JSON.stringify(prediction, undefined, 2)}\n` : renderPrediction(prediction, style),
  );
  return EXIT.verdict;
}
