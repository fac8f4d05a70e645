import { meanBurstOf, meanLossOf, type LossOptions } from '../sim/loss.ts';

/** The loss of a bench's lines with all its parameters, in words. */
export function describeLoss(loss: LossOptions): string {
  const mean = `mean loss ${(meanLossOf(loss) * 100).toFixed(1)} %`;
  switch (loss.kind) {
    case 'none':
      return 'no loss';
    case 'independent':
      return `independent loss: ${mean}`;
    case 'gilbert-elliott':
      return `Gilbert–Elliott by packets: p ${loss.p}, r ${loss.r}, loss ${loss.lossGood} / ${loss.lossBad}: ${mean}, mean burst ${meanBurstOf(loss).toFixed(1)} packets`;
    case 'timed-gilbert-elliott':
      return `Gilbert–Elliott in time: good ${loss.meanGoodMs} ms, bad ${loss.meanBadMs} ms on average, loss ${loss.lossGood} / ${loss.lossBad}: ${mean}`;
  }
}
