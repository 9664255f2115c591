// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {StandardToken} from "./StandardToken.sol";

/// Burns a hundredth of every transfer, so the receiver gets less than was sent.
contract FeeToken is StandardToken {
    constructor(string memory name_, string memory symbol_, uint8 decimals_)
        StandardToken(name_, symbol_, decimals_)
    {}

    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0) || to == address(0)) {
            super._update(from, to, value);
            return;
        }
        uint256 fee = value / 100;
        super._update(from, address(0), fee);
        super._update(from, to, value - fee);
    }
}
