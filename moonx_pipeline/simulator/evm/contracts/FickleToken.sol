// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {StandardToken} from "./StandardToken.sol";

/// Answers balanceOf well or badly, as it was last told.
contract FickleToken is StandardToken {
    enum Answer {
        Balance,
        Revert,
        Nothing,
        TooShort,
        OutOfGas
    }

    Answer private _answer;
    string private _reason;

    constructor(string memory name_, string memory symbol_, uint8 decimals_)
        StandardToken(name_, symbol_, decimals_)
    {}

    function setAnswer(Answer answer, string calldata reason) external {
        _answer = answer;
        _reason = reason;
    }

    function balanceOf(address account) public view override returns (uint256) {
        if (_answer == Answer.Revert) revert(_reason);
        if (_answer == Answer.OutOfGas) while (true) {}
        if (_answer == Answer.Nothing) assembly { return(0, 0) }
        if (_answer == Answer.TooShort) assembly { return(0, 31) }
        return super.balanceOf(account);
    }
}
