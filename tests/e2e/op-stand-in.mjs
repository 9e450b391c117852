// A stand-in for an engine of the OP Stack: @ethereumjs/client with the extended payload attributes `transactions`, `noTxPool`
// and `gasLimit`. No OP client is packaged for npm; this one behaves as the specification says where a conductor can see it
// (https://specs.optimism.io/protocol/exec-engine.html#extended-payloadattributesv3): forced transactions are executed in order,
// nothing else is with noTxPool, one that fails makes the whole call INVALID, and a payload id is that of its transactions.
//
//   node --import tests/e2e/op-stand-in.mjs .../@ethereumjs/client/dist/esm/bin/cli.js ...
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const client = `${process.env.TOOLS}/node_modules/@ethereumjs/client`
const source = pathToFileURL(`${client}/dist/esm/src/`).href
const { PendingBlock } = await import(`${source}miner/pendingBlock.js`)
const { Engine } = await import(`${source}rpc/modules/engine/index.js`)
const require = createRequire(`${client}/package.json`)
const tx = await import(pathToFileURL(require.resolve('@ethereumjs/tx').replace('/cjs/', '/esm/')).href)
const { bytesToHex, hexToBytes } = require('@ethereumjs/util')

let asked = null
let failed = null

const updated = Engine.prototype.forkchoiceUpdatedV3
Engine.prototype.forkchoiceUpdatedV3 = async function (params) {
  const [state, attributes] = params
  if (!attributes?.transactions) return updated.call(this, params)
  const { transactions, noTxPool, gasLimit, eip1559Params, ...rest } = attributes
  if (!noTxPool) throw new Error('this stand-in builds without its pool only')
  // The client's ids say nothing of transactions: no payload of before may be answered.
  for (const [id, builder] of this.pendingBlock.pendingPayloads) {
    this.pendingBlock.pendingPayloads.delete(id)
    await builder.revert()
  }
  asked = { transactions, gasLimit: BigInt(gasLimit) }
  failed = null
  const answer = await updated.call(this, [state, rest])
  asked = null
  if (failed === null) return answer
  return { payloadStatus: { status: 'INVALID', latestValidHash: null, validationError: failed }, payloadId: null }
}

const start = PendingBlock.prototype.start
PendingBlock.prototype.start = async function (vm, parent, header, withdrawals) {
  const forced = []
  if (asked.gasLimit !== parent.header.gasLimit) failed = 'this stand-in does not change the gas limit'
  for (const raw of asked.transactions) {
    try {
      forced.push(tx.createTxFromRLP(hexToBytes(raw), { common: vm.common }))
    } catch (error) {
      failed = `not a transaction: ${error.message}`
    }
  }
  const pool = this.txPool.txsByPriceAndNonce
  this.txPool.txsByPriceAndNonce = async () => forced
  try {
    const id = await start.call(this, vm, parent, header, withdrawals)
    const built = this.pendingPayloads.get(bytesToHex(id)).transactions.length
    if (built !== asked.transactions.length) failed = `${asked.transactions.length - built} transactions cannot be executed`
    return id
  } finally {
    this.txPool.txsByPriceAndNonce = pool
  }
}

const build = PendingBlock.prototype.build
PendingBlock.prototype.build = async function (id) {
  const pool = this.txPool.txsByPriceAndNonce
  this.txPool.txsByPriceAndNonce = async () => []
  try {
    return await build.call(this, id)
  } finally {
    this.txPool.txsByPriceAndNonce = pool
  }
}
