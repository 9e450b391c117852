#!/usr/bin/env bash
# An operator's life on L1 with the commands of docs/restaking.md, over anvil; `cast` looks on from outside.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
source "$(dirname "${BASH_SOURCE[0]}")/conductor.bash"

ANVIL=$ROOT/target/tools/node_modules/.bin/anvil
CAST=$ROOT/target/tools/node_modules/.bin/cast
[[ -x $ANVIL && -x $CAST ]] || fail "no anvil or cast: .ci/run setup"
read -r PORT < <(free_ports 1)
L1=http://127.0.0.1:$PORT
"$ANVIL" --port "$PORT" --hardfork osaka --slots-in-an-epoch 1 >"$WORK/anvil.log" 2>&1 &
PIDS+=($!)
wait_until 30 "anvil to answer" rpc "$L1" eth_chainId

private() {
    (umask 077 && cat >"$1")
}

# Accounts of anvil's: 0 deploys, 1 is the operator, and a keystore of cast holds its key.
private "$WORK/deployer.key" <<<0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80
DEPLOYER=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266
OPERATOR=0x70997970C51812dc3A010C7d01b50e0d17dc79C8
"$CAST" wallet import --keystore-dir "$WORK" --unsafe-password 'pass of the account' \
    --private-key 0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d account >/dev/null
chmod 600 "$WORK/account"
private "$WORK/account.password" <<<'pass of the account'
private "$WORK/member.password" <<<'pass of the member'

DEPLOY=("$OUTRIDER" l1 deploy --l1 "$L1" --account "$WORK/deployer.key" --l1-chain 31337 --chain 7 --epoch-blocks 1000 \
    --veto-window 100 --out "$WORK/network.json")
deploy() {
    "${DEPLOY[@]}" --unbonding 1000 --evidence-age 500 --members-max 1 "$@"
}
for wrong in reward-percent=100 unbonding=500 stake-min=0.5eth evidence-age=0 inbox-window=0 members-max=257; do
    expect_failure 2 "--${wrong%%=*}" "${DEPLOY[@]}" "--$wrong" --dry-run
done
ok "parameters that no contract takes are refused before anything is sent"
predicted=$(deploy --dry-run --json)
[[ $(rpc "$L1" eth_getTransactionCount "[\"$DEPLOYER\", \"latest\"]") == '"0x0"' ]] || fail "a dry run sent something"
deploy >/dev/null
python3 - "$WORK/network.json" "$predicted" <<'PYTHON'
import json, sys
network, predicted = json.load(open(sys.argv[1])), json.loads(sys.argv[2])
network.pop("block"), predicted.pop("block")
sys.exit(network != predicted and f"{network} is not {predicted}")
PYTHON
ok "six contracts are where the dry run said"

address() {
    field "$1" <"$WORK/network.json"
}
# look CONTRACT SIGNATURE [ARGUMENT...]: what cast reads.
look() {
    local contract=$1
    shift
    "$CAST" call --rpc-url "$L1" "$(address "$contract")" "$@"
}

# Keys: made encrypted, opened by file and by pipe, and by nothing else.
"$OUTRIDER" keys new --out "$WORK/member.key" --encrypt --password-file "$WORK/member.password" >"$WORK/keys.out"
MEMBER=$(awk '/^public key/ {print $3}' "$WORK/keys.out")
ATTESTER=$(awk '/^attester/ {print $2}' "$WORK/keys.out")
"$OUTRIDER" keys show "$WORK/member.key" <"$WORK/member.password" | grep -q "$MEMBER" || fail "a password by pipe"
if "$OUTRIDER" keys show "$WORK/member.key" <<<'another' 2>"$WORK/wrong.out"; then fail "a wrong password opens it"; fi
grep -q 'the password is wrong' "$WORK/wrong.out" || fail "a wrong password is not named"
"$OUTRIDER" keys decrypt "$WORK/member.key" --out "$WORK/plain.key" --password-file "$WORK/member.password" >/dev/null
"$OUTRIDER" keys encrypt "$WORK/plain.key" --out "$WORK/again.key" --password-file "$WORK/account.password" >/dev/null
"$OUTRIDER" keys show "$WORK/again.key" --password-file "$WORK/account.password" | grep -q "$MEMBER" || fail "encrypted again"
ok "a member key is encrypted, decrypted and encrypted again"

"$OUTRIDER" keys contact "$WORK/member.key" --password-file "$WORK/member.password" --name alice --address 192.0.2.7:9600 \
    >"$WORK/contact.json"
SEND=(--network "$WORK/network.json" --l1 "$L1" --account "$WORK/account" --account-password-file "$WORK/account.password")
KEY=(--key "$WORK/member.key" --password-file "$WORK/member.password")
operator() {
    "$OUTRIDER" operator "$@" "${SEND[@]}"
}

dry=$(operator register "${KEY[@]}" --contact "$WORK/contact.json" --dry-run --json)
calldata=$(field calldata <<<"$dry")
[[ $("$CAST" decode-calldata 'register(bytes32,bytes,address,bytes,bytes)' "$calldata" | head -1) == "0x$MEMBER" ]] ||
    fail "cast reads another key in the calldata"
[[ $(field to <<<"$dry" | tr A-F a-f) == "$(address operator_registry)" ]] || fail "the dry run names another target"
text=$(operator register "${KEY[@]}" --contact "$WORK/contact.json" --dry-run)
grep -q '^function   register(bytes32,bytes,address,bytes,bytes)$' <<<"$text" || fail "the dry run names no function"
[[ $(look operator_registry 'operatorCount()(uint256)') == 0 ]] || fail "a dry run registered somebody"
ok "a dry run shows target, value, calldata that cast reads alike, and gas; and sends nothing"

operator deposit --amount 40eth >/dev/null
operator register "${KEY[@]}" --contact "$WORK/contact.json" >/dev/null
[[ $(look operator_registry 'operatorOf(bytes32)(address)' "0x$MEMBER") == "$OPERATOR" ]] || fail "not registered"
[[ $(look operator_registry 'operatorOfAttester(address)(address)' "$ATTESTER") == "$OPERATOR" ]] || fail "no attester"
[[ $(look bonded_stake 'stakeOf(address)(uint256)' "$OPERATOR") == 40000000000000000000* ]] || fail "no stake"
ok "registered with 40 ETH, as cast sees it"
if operator register "${KEY[@]}" --contact "$WORK/contact.json" 2>"$WORK/twice.out"; then fail "registered twice"; fi
grep -q AlreadyRegistered "$WORK/twice.out" || fail "the revert is not named: $(<"$WORK/twice.out")"
ok "what would revert is not sent, and the contract's error is named"

"$OUTRIDER" l1 snapshot "${SEND[@]}" >/dev/null
"$OUTRIDER" keys contact "$WORK/member.key" --password-file "$WORK/member.password" --name alice --address 192.0.2.8:9600 \
    >"$WORK/contact.json"
operator update --contact "$WORK/contact.json" >/dev/null
"$OUTRIDER" keys new --out "$WORK/stranger.key" >/dev/null
"$OUTRIDER" keys contact "$WORK/stranger.key" --name alice --address 192.0.2.8:9600 >"$WORK/stranger.json"
expect_failure 1 "not of $MEMBER" "$OUTRIDER" operator update --contact "$WORK/stranger.json" "${SEND[@]}"
private "$WORK/next.password" <<<'next'
"$OUTRIDER" keys new --out "$WORK/next.key" --encrypt --password-file "$WORK/next.password" >"$WORK/keys.out"
NEXT=$(awk '/^public key/ {print $3}' "$WORK/keys.out")
NEXT_KEY=(--key "$WORK/next.key" --password-file "$WORK/next.password")
dry=$(operator rotate "${NEXT_KEY[@]}" --dry-run --json)
[[ $(wc -l <<<"$dry") == 3 ]] || fail "a rotation is not three transactions: $dry"
nonces=$(while read -r one; do field nonce <<<"$one"; done <<<"$dry" | xargs)
read -r first second third <<<"$nonces"
((second == first + 1 && third == first + 2)) || fail "the nonces are $nonces"
# The account can pay for the first only: what is left is said, and done when it can.
read -r one <<<"$dry"
balance() { rpc "$L1" anvil_setBalance "[\"$OPERATOR\", \"$1\"]" >/dev/null; }
balance "$(field cost_max <<<"$one")"
expect_failure 1 'send ETH to it' "$OUTRIDER" operator rotate "${NEXT_KEY[@]}" "${SEND[@]}"
grep -q '^done: update the contact$' "$WORK/expected.err" || fail "what is done is not said: $(<"$WORK/expected.err")"
grep -q '^not done: rotate the member key, rotate the attester key$' "$WORK/expected.err" || fail "what is not done is not said: $(<"$WORK/expected.err")"
balance 0x3635c9adc5dea00000
text=$(operator rotate "${NEXT_KEY[@]}")
[[ $(grep -c '^transaction ' <<<"$text") == 2 ]] || fail "what is left is not two transactions: $text"
grep -q 'epoch 0 was recorded before: .outrider l1 snapshot. records it anew' <<<"$text" || fail "the snapshot is not named: $text"
[[ $(look operator_registry 'operatorOfAttester(address)(address)' "$(awk '/^attester/ {print $2}' "$WORK/keys.out")") == "$OPERATOR" ]] ||
    fail "the attester is not rotated"
operator rotate "${NEXT_KEY[@]}" | grep -q 'nothing was sent' || fail "what is so already is sent again"
expect_failure 1 'KeyUsed.*nothing was sent' "$OUTRIDER" operator rotate "${KEY[@]}" "${SEND[@]}"
operator rotate "${NEXT_KEY[@]}" | grep -q 'nothing was sent' || fail "a rotation that would be refused changed the contact"
[[ $(look operator_registry 'operatorOf(bytes32)(address)' "0x$NEXT") == "$OPERATOR" ]] || fail "not rotated"
[[ $(look operator_registry 'operatorOf(bytes32)(address)' "0x$MEMBER") == "$OPERATOR" ]] || fail "the old key is forgotten"
ok "contact, member key and attester are changed; the old key still is the operator's"
text=$("$OUTRIDER" operator status "$OPERATOR" --network "$WORK/network.json" --l1 "$L1")
grep -q 'of epoch 0, as it is recorded: yes, weight 40$' <<<"$text" || fail "the status is $text"
grep -q 'of epoch 0, if it were recorded now: yes, weight 40$' <<<"$text" || fail "the status is $text"
grep -q '^on the list     yes$' <<<"$text" || fail "the status is $text"
text=$("$OUTRIDER" l1 status --network "$WORK/network.json" --l1 "$L1")
grep -q '^settlement   has not begun$' <<<"$text" && grep -q '^list         1 of at most 1$' <<<"$text" || fail "l1 status is $text"
grep -q 'a snapshot of now would record:$' <<<"$text" || fail "l1 status does not see the rotation: $text"

# Another one comes, and the list is full.
"$OUTRIDER" keys new --out "$WORK/other.key" >/dev/null
"$OUTRIDER" keys contact "$WORK/other.key" --name bob --address 192.0.2.9:9600 >"$WORK/other.json"
OTHER=(--network "$WORK/network.json" --l1 "$L1" --account "$WORK/deployer.key")
"$OUTRIDER" operator register --key "$WORK/other.key" --contact "$WORK/other.json" "${OTHER[@]}" >/dev/null
expect_failure 1 NotEligible "$OUTRIDER" operator enlist "${OTHER[@]}"
"$OUTRIDER" operator deposit --amount 35eth "${OTHER[@]}" >/dev/null
expect_failure 1 NotLess "$OUTRIDER" operator enlist "${OTHER[@]}"
"$OUTRIDER" operator status "$DEPLOYER" --network "$WORK/network.json" --l1 "$L1" | grep -q 'operator enlist' || fail "how to get there is not said"
"$OUTRIDER" operator deposit --amount 10eth "${OTHER[@]}" >/dev/null
"$OUTRIDER" operator enlist "${OTHER[@]}" --dry-run 2>"$WORK/enlist.err" | grep -q '^function   enlistInstead(address,address)$' || fail "enlist"
grep -q "instead of $OPERATOR, with 40" "$WORK/enlist.err" || fail "who goes is not said: $(<"$WORK/enlist.err")"
"$OUTRIDER" operator enlist "${OTHER[@]}" >/dev/null 2>&1
expect_failure 1 AlreadyListed "$OUTRIDER" operator enlist "${OTHER[@]}"
text=$("$OUTRIDER" operator status "$OPERATOR" --network "$WORK/network.json" --l1 "$L1")
grep -q 'of epoch 0, if it were recorded now: no$' <<<"$text" || fail "the status is $text"
ok "on a full list the one with more stake takes the place of the one with the least"

operator unbond --amount 8.5eth >/dev/null
if operator withdraw 2>"$WORK/early.out"; then fail "withdrawn at once"; fi
grep -q StillUnbonding "$WORK/early.out" || fail "the revert is not named: $(<"$WORK/early.out")"
rpc "$L1" evm_increaseTime '[1001]' >/dev/null
rpc "$L1" anvil_mine '["0x1"]' >/dev/null
operator exit >/dev/null
operator withdraw >/dev/null
[[ $(look bonded_stake 'slashable(address)(uint256)' "$OPERATOR") == 31500000000000000000* ]] || fail "not withdrawn"
status=$("$OUTRIDER" operator status "$OPERATOR" --network "$WORK/network.json" --l1 "$L1" --json)
[[ $(field standing <<<"$status") == exited ]] || fail "the status is $status"
[[ $(field member_key <<<"$status") == "$NEXT" ]] || fail "the status is $status"
ok "unbonded, left and withdrew: $("$OUTRIDER" operator status "$OPERATOR" --network "$WORK/network.json" --l1 "$L1" | grep ^bonded)"

# A member with an encrypted key starts with the password file that its configuration names, and not without.
init_network 4
mv "$NET/member-0/member.key" "$WORK/member-0.key"
"$OUTRIDER" keys encrypt "$WORK/member-0.key" --out "$NET/member-0/member.key" --password-file "$WORK/member.password" >/dev/null
if "$OUTRIDER" start --config "$NET/member-0/outrider.toml" 2>"$WORK/closed.out"; then fail "started without a password"; fi
grep -q 'is encrypted' "$WORK/closed.out" || fail "the reason is not named: $(<"$WORK/closed.out")"
start_member 0 --set "node.key_password_file=$WORK/member.password"
wait_until 60 "member-0 to answer" answers "$(url 0)"
ok "a member starts with an encrypted key and its password file"

# Another chain's endpoint, and a network file of another chain.
sed 's/31337/1/' "$WORK/network.json" >"$WORK/other.json"
if "$OUTRIDER" operator status "$OPERATOR" --network "$WORK/other.json" --l1 "$L1" 2>"$WORK/chain.out"; then fail "another chain"; fi
grep -q 'of chain 31337, not of 1' "$WORK/chain.out" || fail "another chain is not named: $(<"$WORK/chain.out")"
ok "an endpoint of another chain is refused"
no_panics
