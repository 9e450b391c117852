// Signs Ethereum transactions: a JSON list of their fields on standard input, a JSON list of their bytes in hex on standard output.
// The library is that of @ethereumjs/client, in the folder that TOOLS names.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const require = createRequire(`${process.env.TOOLS}/node_modules/@ethereumjs/client/package.json`)
const { createFeeMarket1559Tx } = require('@ethereumjs/tx')
const { Hardfork, Mainnet, createCustomCommon } = require('@ethereumjs/common')
const { bytesToHex, hexToBytes } = require('@ethereumjs/util')

const sign = ({ key, chain, nonce, gas = 21000, fee = 100e9, tip = 1e9, to, value = 1, data = '0x' }) => {
  const common = createCustomCommon({ chainId: chain }, Mainnet, { hardfork: Hardfork.Cancun })
  const fields = {
    chainId: BigInt(chain), nonce: BigInt(nonce), gasLimit: BigInt(gas), maxFeePerGas: BigInt(fee),
    maxPriorityFeePerGas: BigInt(tip), to, value: BigInt(value), data,
  }
  const opts = { common, allowUnlimitedInitCodeSize: true }
  return bytesToHex(createFeeMarket1559Tx(fields, opts).sign(hexToBytes(key)).serialize())
}
process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(sign)))
