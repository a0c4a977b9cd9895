"""AMQP 0-9-1, as RabbitMQ speaks it: the one place where aio-pika is spoken. The input and the output share it."""
