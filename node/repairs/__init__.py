"""A service request from report to closed: 提交 → 派单 → 处理 → 评价."""
