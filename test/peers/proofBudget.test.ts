import { expect, it } from 'vitest';
import { PEER_PROOF_ADDRESSES, PEER_PROOFS_AT_ONCE, PEER_PROOFS_PER_SECOND } from '../../src/core/peerLimits.ts';
import { ProofBudget } from '../../src/peers/proofBudget.ts';

it('a crowd from one address begins no more proofs than there is time for, and takes no turn of a node at another', () => {
  const budget = new ProofBudget();
  let ofCrowd = 0;
  let ofNode = 0;
  for (let ms = 0; ms < 10_000; ms += 1) {
    for (let i = 0; i < 5; i += 1) if (budget.take('crowd', ms)) ofCrowd += 1;
    if (ms % 250 === 0 && budget.take('node', ms)) ofNode += 1;
  }
  expect(ofNode).toBe(40);
  expect(ofCrowd).toBeLessThanOrEqual(
    10 * PEER_PROOFS_PER_SECOND + PEER_PROOFS_AT_ONCE + 10 * (PEER_PROOFS_PER_SECOND / PEER_PROOF_ADDRESSES + 1),
  );
});

it('a crowd from everywhere begins no more than twice as many', () => {
  const budget = new ProofBudget();
  let begun = 0;
  for (let i = 0; i < 100_000; i += 1) if (budget.take(`address ${i}`, i / 10)) begun += 1;
  expect(begun).toBeLessThanOrEqual(20 * PEER_PROOFS_PER_SECOND + PEER_PROOFS_AT_ONCE);
});
